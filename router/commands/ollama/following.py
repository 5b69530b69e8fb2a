"""Pulling a model through the router and showing how it goes, until it is there or Ctrl-C."""

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, NoReturn

import rich_click as click

from router.commands.ollama.places import Place
from router.commands.ollama.progress import Going, Lines
from router.commands.ollama.words import plain
from router.commands.remote import Refused, RouterGone, listening
from router.commands.shared import terminal

EVERY_S = 5.0
"""Between two lines about layers, where there is no terminal."""
_NO_MODEL = "model_not_found"
_HINTS = (
    (
        r"no space left|not enough (disk )?space|disk quota|disk is full",
        "its disk is full: turnout ollama rm makes room",
    ),
    (r"requires a newer version|\b412\b", "its Ollama is too old for this model: update it there"),
    (
        r"dial tcp|no such host|connection re(fused|set)|i/o timeout|network is unreachable|TLS handshake",
        "it cannot reach the registry: look at its connection to the internet",
    ),
    (
        r"unauthorized|access denied|\b401\b|\b403\b",
        "the registry gives this model to nobody who is not signed in there",
    ),
)
"""Ollama has words for these and no codes."""

LOST = "the connection to the router broke; the pull goes on, if need be when the router runs again"

Tell = Callable[[Going], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that is to come there."""

    place: Place
    model: str


class PullFailed(Exception):
    """The model is not there; the message says why to a person."""


class PullCut(RouterGone):
    """The router has gone while the pull ran."""


class PullLeft(Exception):
    """Whoever waited for the pull has gone, and it goes on; `begun` tells whether it is known to."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__()
        self.begun = begun


def pulled(wanted: Wanted, shown: Callable[[], Any]) -> dict[str, Any]:
    """Pulls, or joins the pull that runs; its record at the end. `shown` makes the context of whoever shows it.

    Raises PullFailed, PullLeft, and RouterGone, which is PullCut once it was begun.
    """
    going = Going()
    path, asked = f"{wanted.place.path}/models/pull", {"model": wanted.model}
    try:
        with listening("POST", path, json=asked) as events, shown() as tell:
            for name, said in events:
                if name == "error":
                    _fail(wanted, said)
                going = going.told(said)
                tell(going)
                if name == "done":
                    return said
    except KeyboardInterrupt:
        raise PullLeft(begun=bool(going.pull_id)) from None
    except Refused as refused:
        raise PullFailed(explained(str(refused), wanted, code=refused.code)) from None
    except PullCut:
        raise
    except RouterGone:
        if not going.pull_id:
            raise
    raise PullCut(LOST)


@contextmanager
def on_terminal(*, transient: bool = False) -> Generator[Tell]:
    """Bars."""
    from router.commands.ollama.bars import bars

    with bars(terminal(), transient=transient) as shown:
        yield shown.tell


@contextmanager
def in_lines(model: str) -> Generator[Tell]:
    """A line now and then."""
    lines = Lines(every_s=EVERY_S)

    def tell(going: Going) -> None:
        for line in lines.new(going, monotonic()):
            click.echo(f"{plain(model)}: {line}")

    yield tell


@contextmanager
def silent() -> Generator[Tell]:
    """Nothing."""

    def tell(_: Going) -> None: ...

    yield tell


def fitting(wanted: Wanted, *, as_json: bool, transient: bool = False) -> Callable[[], Any]:
    """How to show it where standard output leads."""
    if as_json:
        return silent
    if sys.stdout.isatty():
        return lambda: on_terminal(transient=transient)
    return lambda: in_lines(wanted.model)


def explained(words: str, wanted: Wanted, *, code: str | None = None) -> str:
    """Why a pull failed, and what can be done."""
    name, hint = wanted.place.name, next((hint for rule, hint in _HINTS if re.search(rule, words, re.IGNORECASE)), None)
    if code == _NO_MODEL:
        hint = "look for the name and its tags at https://ollama.com/library"
    told = f"{plain(wanted.model)} was not pulled to {name}: {plain(words)}"
    return f"{told} ({hint})" if hint else told


def _fail(wanted: Wanted, said: dict[str, Any]) -> NoReturn:
    error, state = said["error"], said["pull"]["state"]
    if state == "running":
        raise PullCut(plain(error["message"]))
    if state == "cancelled":
        raise PullFailed(f"somebody cancelled the pull of {plain(wanted.model)} to {wanted.place.name}")
    raise PullFailed(explained(error["message"], wanted, code=error["code"]))
