"""A router as a user runs it: `python -m router serve` in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_S = 30.0
STOP_S = 15.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """`log` is a file that holds what the process printed."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def terminate(self) -> int:
        """SIGTERM, then the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    """The environment without anything that could lead a test elsewhere."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "OLLAMA_", "TURNOUT_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **more}


@contextmanager
def served(folder: Path, config: Mapping[str, Any], *, wait_ready: bool = True) -> Iterator[Served]:
    """Serves these settings, which keep nothing unless they say so; the process is gone afterwards."""
    port = free_port()
    file = folder / "turnout.json"
    server = {"port": port, "data_dir": None, **config.get("server", {})}
    file.write_text(json.dumps({**config, "server": server}), encoding="utf-8")
    log = folder / "router.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "router", "serve", "--config", str(file)],
            stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment(),
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until_status(f"{url}/health/{'ready' if wait_ready else 'live'}", 200, process=process, log=log)
        yield Served(url, process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_S)


def until_status(url: str, status: int, *, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Waits until a GET answers with the status."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == status:
                    return
        except urllib.error.HTTPError as error:
            if error.code == status:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"{url} never answered {status}:\n{log.read_text(encoding='utf-8')}")
