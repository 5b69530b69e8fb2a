"""`turnout backends`: what there is to choose from, over the API of a running router."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import os
import sys
from typing import Any
from urllib.parse import quote

import rich_click as click

from router.commands.people import json_option
from router.commands.remote import ask, show
from router.commands.shared import fail

KEY_VARIABLE = "TURNOUT_BACKEND_KEY"
KINDS = ("ollama", "llama_cpp", "openai", "claude")
_COLUMNS = ("name", "id", "source", "state", "selected_model", "models", "in_flight", "queue", "latency_ms")
_ADDED_COLUMNS = ("name", "id", "type", "url", "source")
_PATH = "/api/backends"

write_option = click.option("--write-file", is_flag=True, help="Change the router's settings file, not its database.")


@click.group()
def backends() -> None:
    """Model servers, of the settings file and of the database."""


@backends.command("list")
@json_option
def list_backends(*, as_json: bool) -> None:
    """List all backends and how they are."""
    show(ask("GET", f"{_PATH}/status"), _COLUMNS, as_json=as_json)


@backends.command("add")
@click.argument("name")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("url", required=False)
@click.option("--model", "models", multiple=True, help="A model of it, if it cannot list them; may be repeated.")
@click.option("--max-parallel", type=click.IntRange(1), help="Most requests at once.")
@write_option
@json_option
def add_backend(name: str, kind: str, *, url: str | None, write_file: bool, as_json: bool, **more: Any) -> None:
    """Add the backend NAME. Its key, if it wants one, is read from the variable TURNOUT_BACKEND_KEY."""
    said = {"name": name, "type": kind, "url": url, "api_key": os.environ.get(KEY_VARIABLE, "").strip(), **more}
    given = {key: value for key, value in said.items() if value}
    made = ask("POST", _PATH, json=given, params=_where(write_file=write_file))
    show([made], _ADDED_COLUMNS, as_json=as_json)
    _tell_of_file(made, as_json=as_json)


@backends.command("remove")
@click.argument("name")
@write_option
@json_option
def remove_backend(name: str, *, write_file: bool, as_json: bool) -> None:
    """Remove a backend; requests that run there finish."""
    gone = ask("DELETE", _of(name), params=_where(write_file=write_file))
    if as_json:
        click.echo(json.dumps(gone, indent=2))
    elif gone["in_flight"]:
        click.echo(f"{gone['in_flight']} requests finish there")
    _tell_of_file(gone, as_json=as_json)


@backends.command("test")
@click.argument("name")
@json_option
def test_backend(name: str, *, as_json: bool) -> None:
    """Look closely at a backend. Exit status 1 when it cannot be used."""
    report = ask("POST", f"{_of(name)}/test")
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _tell_of_test(name, report)
    sys.exit(0 if report["connected"] else 1)


@backends.command("models")
@click.argument("name")
@click.option("--refresh", is_flag=True, help="Ask the backend now.")
@json_option
def list_models(name: str, *, refresh: bool, as_json: bool) -> None:
    """List the models of a backend."""
    found = ask("GET", f"{_of(name)}/models", params={"refresh": "true"} if refresh else {})
    show(found, ("name", "size", "parameters", "quantization", "context", "loaded", "selected"), as_json=as_json)


@backends.command("select")
@click.argument("name")
@click.argument("model")
def select_model(name: str, model: str) -> None:
    """Make MODEL the one of the backend NAME."""
    ask("POST", f"{_of(name)}/select-model", json={"model": model})


def _of(named: str) -> str:
    """The path of a backend by name or id; of several of one name, the one that is used."""
    found = ask("GET", _PATH)
    ids = [backend["id"] for key in ("id", "name") for backend in found if backend[key] == named]
    if not ids:
        known = ", ".join(backend["name"] for backend in found) or "none"
        fail(f"there is no backend {named}; backends: {known}")
    return f"{_PATH}/{quote(ids[0], safe='')}"


def _where(*, write_file: bool) -> dict[str, str]:
    return {"write_file": "true"} if write_file else {}


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
