"""A client as the tests know it: one file in `each` makes one of these."""

import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from router import connect
from router.connect.guide import KEY as KEY_IN_SHELL
from router.connect.guide import PROMPT, WRITTEN_KEY, Guide, Place, Snippet
from tests.clients import running
from tests.clients.kits import Kit, missing
from tests.clients.running import Conversation, Surroundings, Transcript
from tests.fakes import ToolUse
from tests.sdk.stage import KEY

HERE = Path(__file__).parent
QUIET: Mapping[str, str] = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "DO_NOT_TRACK": "1", "LANG": "C.UTF-8"}
START_S = 60.0
"""A client may read tens of MB of its own code on a machine that does other things too."""
NODE_DRIVING = ("node", str(HERE / "drivers" / "driving.mjs"))
WEATHER = ToolUse("get_weather", {"city": "Paris"})
SUN = "12 degrees in Paris"


class Session(Protocol):
    """A client set up over one model."""

    def play(self, scene: str, prompt: str) -> Transcript:
        """What it says to the prompt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ABC):
    """`name` is that of its guide. `package` in `kit` is whose version counts; it is installed in tier 1 or 2.

    `uses` is a tool that it offers, and `proof` what a backend is then told. `cannot` has scenes that it cannot play
    (`real`: over a real model), each with its reason. A client that does not `try_again` shows a 429 to the person,
    and one that `asks_again` makes good itself what breaks. `answers_by` is a tool as whose argument `text` it wants
    every answer. `everywhere` are the scenes that one which is slow to start plays over every kind; the others it plays
    over the first.
    """

    name: str
    kit: Kit
    package: str
    tier: int = 1
    uses: ToolUse = WEATHER
    proof: str = SUN
    cannot: Mapping[str, str] = field(default_factory=dict)
    tries_again: bool = True
    asks_again: bool = False
    answers_by: str | None = None
    everywhere: Collection[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def guide(self) -> Guide:
        return connect.guide(self.name)

    def missing(self) -> str | None:
        return missing(self.kit, self.package)

    @contextmanager
    def session(self, place: Place, home: Path, prefix: Sequence[str]) -> Iterator[Session]:
        """Ready to play; `home` is an empty folder."""
        snippet = self.guide.write(place)
        around = Surroundings(home, {**_environment(self, snippet), **self.environment}, prefix)
        around.folder.mkdir(parents=True)
        for file in snippet.files:
            path = home / file.path[2:] if file.path.startswith("~/") else around.folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text.replace(WRITTEN_KEY, KEY), encoding="utf-8")
        with self._started(snippet, place, around) as session:
            yield session

    @abstractmethod
    def _started(self, snippet: Snippet, place: Place, around: Surroundings) -> AbstractContextManager[Session]:
        """What plays the scenes, for as long as it is entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library(Client):
    """`driver` plays the scenes in one process, with what the program of the snippet has made.

    `interpreter` gets the driver's path, the program's and the model; it answers lines as `drivers/driving.py` does.
    """

    driver: str
    interpreter: tuple[str, ...] = ("python", "-P", str(HERE / "drivers" / "driving.py"))

    @contextmanager
    def _started(self, snippet: Snippet, place: Place, around: Surroundings) -> Iterator[Session]:
        command = [_found(self.interpreter[0], around), *self.interpreter[1:]]
        program = around.folder / snippet.files[-1].path
        self.kit.lend(around.home)
        with running.conversation([*command, str(HERE / self.driver), str(program), place.model], around) as talking:
            yield _Library(talking)


@dataclass(frozen=True, slots=True)
class _Library:
    talking: Conversation

    def play(self, scene: str, prompt: str) -> Transcript:
        known = "chat" if scene == "real" else scene
        return self.talking.ask({"scene": known, "prompt": prompt}, deadline_s=START_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Client):
    """A command that is run once a scene. `more` are words for one scene, put before the prompt."""

    more: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """What is in the folder where it is started."""
    deadline_s: float = START_S
    after: Callable[[Path], None] = lambda home: None
    """Ends what it may have left running; told its home."""

    @contextmanager
    def _started(self, snippet: Snippet, place: Place, around: Surroundings) -> Iterator[Session]:
        for name, text in self.files.items():
            (around.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (around.folder / name).write_text(text, encoding="utf-8")
        try:
            yield _Program(self, snippet, around)
        finally:
            self.after(around.home)


@dataclass(frozen=True, slots=True)
class _Program:
    client: Program
    snippet: Snippet
    around: Surroundings

    def play(self, scene: str, prompt: str) -> Transcript:
        at = self.snippet.command.index(PROMPT)
        before, after = self.snippet.command[:at], self.snippet.command[at + 1 :]
        words = [*before, prompt, *self.client.more.get(scene, ()), *after]
        command = [_found(words[0], self.around), *words[1:]]
        return running.run(command, self.around, deadline_s=self.client.deadline_s)


def _environment(client: Client, snippet: Snippet) -> dict[str, str]:
    """What the snippet exports, beside what keeps a client quiet and finds it."""
    path = os.pathsep.join([str(client.kit.path()), str(Path(sys.executable).parent), os.environ["PATH"]])
    said = {name: value.replace(KEY_IN_SHELL, KEY) for name, value in snippet.environment.items()}
    return {**QUIET, "PATH": path, "TURNOUT_API_KEY": KEY, **said}


def _found(command: str, around: Surroundings) -> str:
    found = shutil.which(command, path=around.environment["PATH"])
    assert found, f"there is no {command}"
    return found
