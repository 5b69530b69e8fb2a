"""`turnout connect`: what a person sets, writes and runs so that a client calls the router."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import rich_click as click

from router.commands.people import json_option
from router.commands.remote import RouterGone, address, asked, show
from router.commands.shared import config_option, existing, settings_of
from router.connect import GUIDES, guide
from router.connect.guide import Guide, Place
from router.connect.page import lines
from router.settings import Settings

_EMBEDDING = "embedding"
_NO_MODEL = "MODEL"


@dataclass(frozen=True, slots=True)
class Found:
    """A router: where it is, what it can chat with, and whether it was asked."""

    url: str
    models: Sequence[str]
    running: bool


@click.command()
@click.argument("client", required=False, type=click.Choice([each.name for each in GUIDES]), metavar="[CLIENT]")
@click.option("--model", help="An alias or a model. Default: the first that can chat.")
@config_option
@json_option
def connect(client: str | None, model: str | None, config: Path | None, *, as_json: bool) -> None:
    """Print what connects CLIENT to the router; without CLIENT, list those that are known.

    A running router is asked for its models (`TURNOUT_URL`, `TURNOUT_API_KEY`); where none runs, the settings file is.
    """
    if client is None:
        rows = [{"client": each.name, "what": each.title, "route": each.surface} for each in GUIDES]
        show(rows, ("client", "what", "route"), as_json=as_json)
        return
    found = _running() or _written(config)
    place = Place(found.url, model or next(iter(found.models), _NO_MODEL))
    if as_json:
        click.echo(json.dumps(document(guide(client), place, found), indent=2))
    else:
        _print(guide(client), place, found)


def document(known: Guide, place: Place, found: Found) -> dict[str, Any]:
    """The snippet as plain values."""
    about = {"client": known.name, "title": known.title, "route": known.surface, "install": known.install}
    return {**about, **asdict(place), **asdict(found), **asdict(known.write(place)), "note": known.note}


def _print(known: Guide, place: Place, found: Found) -> None:
    click.echo(f"# {known.title}, over {known.surface}. To install it: {known.install}")
    if not found.running:
        click.echo(f"# No router answers at {address()}: this is what the settings file says.")
    if place.model == _NO_MODEL:
        click.echo("# There is no model yet that can chat: put a name in place of MODEL.")
    if known.note:
        click.echo(f"# {known.note}")
    click.echo()
    for line in lines(known.write(place)):
        click.echo(line)


def _running() -> Found | None:
    """The router that answers; one that refuses is the end of the command."""
    try:
        listed = asked("GET", "/v1/models")
    except RouterGone:
        return None
    models = cast("list[dict[str, Any]]", listed["data"])
    names = [each["id"] for each in models if _can_chat(each["turnout"]) and each["id"].isprintable()]
    return Found(address(), names, running=True)


def _can_chat(about: dict[str, Any]) -> bool:
    abilities = about.get("capabilities")
    return _EMBEDDING not in (about.get("tags") or ()) and (abilities is None or "chat" in abilities)


def _written(config: Path | None) -> Found:
    settings = settings_of(existing(config, os.environ), os.environ)
    return Found(_address(settings), _aliases(settings), running=False)


def _address(settings: Settings) -> str:
    host = settings.server.host
    near = "127.0.0.1" if host in {"0.0.0.0", "::", "localhost"} else host  # noqa: S104
    return f"http://{f'[{near}]' if ':' in near else near}:{settings.server.port}"


def _aliases(settings: Settings) -> list[str]:
    """The default model first."""
    first = settings.routing.default_model
    names = [name for name, alias in settings.models.items() if _EMBEDDING not in alias.tags]
    return [*([first] if first else []), *(name for name in names if name != first)]
