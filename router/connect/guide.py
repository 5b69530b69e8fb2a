"""What a person does to use a client with a router: set, write, run."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PROMPT = "Say hello"
"""The word of a command, and the text in a program, that a person puts a question in place of."""
KEY = "${TURNOUT_API_KEY:-unused}"
"""A key in a shell's words: the variable's, or any for a router that asks for none."""
WRITTEN_KEY = "YOUR-TURNOUT-KEY"
"""Stands in files of clients that read no variables there."""

_GAP = re.compile("@(URL|V1|MODEL)@")


@dataclass(frozen=True, slots=True)
class Place:
    """A router as clients see it, and a model of it; `url` ends without a slash."""

    url: str
    model: str

    def fill(self, template: str) -> str:
        """Puts `@URL@`, `@V1@` (with `/v1`) and `@MODEL@` in, quoted as JSON, Python, JavaScript, TOML and YAML do."""
        known = {"URL": self.url, "V1": f"{self.url}/v1", "MODEL": self.model}
        return _GAP.sub(lambda gap: json.dumps(known[gap[1]]), template)


@dataclass(frozen=True, slots=True)
class File:
    """`path` begins with `~/`, or is a name in whatever folder the person is in."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Snippet:
    """`environment` may hold KEY, a file WRITTEN_KEY, and `command` has PROMPT for one of its words, if it asks."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Guide:
    """How one client is connected. `surface` is the route it calls; `install` is a shell's line."""

    name: str
    title: str
    surface: str
    install: str
    write: Callable[[Place], Snippet]
    note: str = ""


def program(name: str, template: str, *command: str) -> Callable[[Place], Snippet]:
    """The snippet of a library: one file, which `command` runs."""
    return lambda place: Snippet(command, files=(File(name, place.fill(template).lstrip()),))
