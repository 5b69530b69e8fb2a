"""`turnout backends`: what there is to choose from, over the API of a running router."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import os
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import rich_click as click

from router.commands.people import json_option, user_id_of
from router.commands.remote import ask, show
from router.commands.shared import fail

KEY_VARIABLE = "TURNOUT_BACKEND_KEY"
KINDS = ("ollama", "llama_cpp", "openai", "claude")
_COLUMNS = ("name", "id", "source", "state", "selected_model", "models", "in_flight", "queue", "latency_ms")
_ADDED_COLUMNS = ("name", "id", "type", "url", "source")
_PATH = "/api/backends"
_MINE = "/api/me/backends"

user_option = click.option("--user", help="Private ones of this user, by name or id; for administrators.")
mine_option = click.option("--mine", is_flag=True, help="My own private ones; needs no administrator.")
write_option = click.option("--write-file", is_flag=True, help="Change the router's settings file, not its database.")


@click.group()
def backends() -> None:
    """Model servers, of the settings file and of the database."""


@backends.command("list")
@user_option
@mine_option
@json_option
def list_backends(*, user: str | None, mine: bool, as_json: bool) -> None:
    """List the backends of everybody, or of one user, and how they are."""
    shelf = _shelf(user, mine=mine)
    show(ask("GET", f"{shelf.path}/status", params=shelf.params), _COLUMNS, as_json=as_json)


@backends.command("add")
@click.argument("name")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("url", required=False)
@click.option("--model", "models", multiple=True, help="A model of it, if it cannot list them; may be repeated.")
@click.option("--max-parallel", type=click.IntRange(1), help="Most requests at once.")
@user_option
@mine_option
@write_option
@json_option
def add_backend(name: str, kind: str, *, as_json: bool, **options: Any) -> None:
    """Add the backend NAME. Its key, if it wants one, is read from the variable TURNOUT_BACKEND_KEY."""
    shelf = _shelf(options.pop("user"), mine=options.pop("mine"), write_file=options.pop("write_file"))
    said = {"name": name, "type": kind, "api_key": os.environ.get(KEY_VARIABLE, "").strip(), **options}
    given = {key: value for key, value in said.items() if value}
    made = ask("POST", shelf.path, json=given, params=shelf.params)
    show([made], _ADDED_COLUMNS, as_json=as_json)
    _tell_of_file(made, as_json=as_json)


@backends.command("remove")
@click.argument("name")
@user_option
@mine_option
@write_option
@json_option
def remove_backend(name: str, *, user: str | None, mine: bool, write_file: bool, as_json: bool) -> None:
    """Remove a backend; requests that run there finish."""
    shelf = _shelf(user, mine=mine, write_file=write_file)
    gone = ask("DELETE", _of(name, shelf), params=shelf.params)
    if as_json:
        click.echo(json.dumps(gone, indent=2))
    elif gone["in_flight"]:
        click.echo(f"{gone['in_flight']} requests finish there")
    _tell_of_file(gone, as_json=as_json)


@backends.command("test")
@click.argument("name")
@user_option
@mine_option
@json_option
def test_backend(name: str, *, user: str | None, mine: bool, as_json: bool) -> None:
    """Look closely at a backend. Exit status 1 when it cannot be used."""
    report = ask("POST", f"{_of(name, _shelf(user, mine=mine))}/test")
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _tell_of_test(name, report)
    sys.exit(0 if report["connected"] else 1)


@backends.command("models")
@click.argument("name")
@click.option("--refresh", is_flag=True, help="Ask the backend now.")
@user_option
@mine_option
@json_option
def list_models(name: str, *, refresh: bool, user: str | None, mine: bool, as_json: bool) -> None:
    """List the models of a backend."""
    found = ask("GET", f"{_of(name, _shelf(user, mine=mine))}/models", params={"refresh": "true"} if refresh else {})
    show(found, ("name", "size", "parameters", "quantization", "context", "loaded", "selected"), as_json=as_json)


@backends.command("select")
@click.argument("name")
@click.argument("model")
@user_option
@mine_option
def select_model(name: str, model: str, *, user: str | None, mine: bool) -> None:
    """Make MODEL the one of the backend NAME: whoever prefers that backend gets it."""
    ask("POST", f"{_of(name, _shelf(user, mine=mine))}/select-model", json={"model": model})


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where to ask for backends, and with what: everybody's, those of the file, or a user's."""

    path: str
    params: dict[str, str]


def _shelf(user: str | None, *, mine: bool, write_file: bool = False) -> _Shelf:
    if sum((user is not None, mine, write_file)) > 1:
        fail("only one of --user, --mine and --write-file", status=2)
    if mine:
        return _Shelf(_MINE, {})
    if user is not None:
        return _Shelf(_PATH, {"user_id": user_id_of(user)})
    return _Shelf(_PATH, {"write_file": "true"} if write_file else {})


def _of(named: str, shelf: _Shelf) -> str:
    """The path of a backend by name or id; of several of one name, the one that is used."""
    found = ask("GET", shelf.path, params=shelf.params)
    ids = [backend["id"] for key in ("id", "name") for backend in found if backend[key] == named]
    if not ids:
        known = ", ".join(backend["name"] for backend in found) or "none"
        fail(f"there is no backend {named}; backends: {known}")
    return f"{shelf.path}/{quote(ids[0], safe='')}"


def _tell_of_file(report: dict[str, Any], *, as_json: bool) -> None:
    file = report["file"]
    if file is None or as_json:
        return
    click.echo(file["diff"], nl=False)
    click.echo(f"the old file is {file['backup']}")
    if not file["in_force"]:
        click.echo("the file is not in force: `turnout check` says why", err=True)


def _tell_of_test(name: str, report: dict[str, Any]) -> None:
    if report["connected"]:
        version = f", version {report['version']}" if report["version"] else ""
        count = len(report["models"])
        click.echo(f"{name} is connected: {report['latency_ms']:.0f} ms{version}, {count} models")
    for complaint in report["complaints"]:
        click.echo(f"{name}: {complaint['what']} {complaint['mend']}")
