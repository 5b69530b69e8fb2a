"""Programs with a deadline, in a group of their own."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What came of a run. `text` is what a person reads as the answer, `complaints` the rest; `code` None: too late."""

    text: str
    complaints: str
    code: int | None

    @property
    def everything(self) -> str:
        return f"{self.text}\n{self.complaints}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How every client is started: `prefix` words before the command, and nothing of our own environment."""

    home: Path
    environment: Mapping[str, str]
    prefix: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """Where it is started."""
        return self.home / "work"

    def start(self, command: Sequence[str], **more: Any) -> subprocess.Popen[str]:
        environment = {**self.environment, "HOME": str(self.home), "PWD": str(self.folder)}
        return subprocess.Popen(
            [*self.prefix, *command],
            cwd=self.folder,
            env=environment,
            text=True,
            errors="replace",
            start_new_session=True,
            **more,
        )


def run(command: Sequence[str], around: Surroundings, *, deadline_s: float) -> Transcript:
    """To its end, or to the deadline's."""
    with (around.home / "out").open("w+b") as out, (around.home / "err").open("w+b") as err:
        process = around.start(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            code: int | None = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
        said = [(around.home / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err")]
    return Transcript(said[0], said[1], code)


def end(process: subprocess.Popen[Any]) -> None:
    """Ends the process and what it started in its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(GRACE_S)


class Conversation:
    """A program that answers every line of JSON with one; what else it says is in `complaints`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, question: Mapping[str, Any], *, deadline_s: float) -> Transcript:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=deadline_s)
        except (queue.Empty, BrokenPipeError):
            line = ""
        complaints = self._log.read_text(encoding="utf-8", errors="replace")
        if not line:
            self._lines.put("")
            return Transcript("", complaints, self._process.poll())
        told = json.loads(line)
        return Transcript(told["text"], told["error"] or "", 1 if told["error"] else 0)

    def close(self) -> None:
        """Once the process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._reader.join(GRACE_S)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


@contextmanager
def conversation(command: Sequence[str], around: Surroundings) -> Iterator[Conversation]:
    """The program lives as long as the `with`."""
    log = around.home / "err"
    with log.open("w+b") as err:
        process = around.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)
        talking = Conversation(process, log)
        try:
            yield talking
        finally:
            end(process)
            talking.close()


def until(condition: Any, *, within_s: float) -> bool:
    """Whether it came true in time."""
    limit = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True
