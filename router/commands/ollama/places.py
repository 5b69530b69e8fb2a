"""Which Ollama server of a running router a command is about."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import rich_click as click

from router.commands.remote import ask
from router.commands.shared import fail

KIND = "ollama"
BACKENDS = "/api/backends"
_OUT_OF_USE = {"disabled", "unusable"}

backend_option = click.option("--backend", help="The Ollama server, by name or id. Default: the only one.")
backends_option = click.option("--backend", help="Of this Ollama server only, by name or id.")


@dataclass(frozen=True, slots=True)
class Place:
    """An Ollama server; `path` is where its models are in the API."""

    id: str
    name: str

    @property
    def path(self) -> str:
        return f"{BACKENDS}/{quote(self.id, safe='')}"

    def model(self, name: str) -> str:
        """The path of one of its models."""
        return f"{self.path}/models/{quote(name, safe='/:')}"


class NoPlace(Exception):
    """No backend is meant; the message says which there are."""


def every_place(named: str | None) -> list[Place]:
    """Those that are in use, or the one that is named; none is the end of the command."""
    try:
        return meant(ask("GET", BACKENDS), named)
    except NoPlace as none:
        fail(str(none))


def one_place(named: str | None) -> Place:
    """The one that is named, or the only one; any other number is the end of the command."""
    found = every_place(named)
    if len(found) > 1:
        fail(which(found), status=2)
    return found[0]


def meant(backends: Sequence[dict[str, Any]], named: str | None) -> list[Place]:
    """Those that somebody means, of the router's list; raises NoPlace. A name goes to the one that is in use."""
    servers = [each for each in backends if each["type"] == KIND]
    if named is None:
        found = [each for each in servers if each["state"] not in _OUT_OF_USE]
        if not found:
            raise NoPlace("the router has no Ollama server that is in use; `turnout backends add` adds one")
        return [_place(each) for each in found]
    for each in (backend for key in ("id", "name") for backend in backends if backend[key] == named):
        if each["type"] != KIND:
            raise NoPlace(f"{named} is no Ollama server, its type is {each['type']}")
        return [_place(each)]
    there = ", ".join(each["name"] for each in servers) or "none"
    raise NoPlace(f"there is no backend {named}; Ollama servers: {there}")


def which(places: Sequence[Place]) -> str:
    """The question that several leave open."""
    return f"there are several Ollama servers: say --backend {' or --backend '.join(each.name for each in places)}"


def _place(backend: dict[str, Any]) -> Place:
    return Place(backend["id"], backend["name"])
