"""`turnout llama`: the llama.cpp processes of a running router, over its API."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import time
from typing import Any
from urllib.parse import quote

import rich_click as click

from router.commands.people import json_option
from router.commands.remote import ask, follow, show
from router.commands.shared import fail

POLL_S = 0.3
_PATH = "/v1/router/llama"
_COLUMNS = ("backend", "state", "model", "kind", "context", "memory", "requests", "note")
_GIB = 1024**3


@click.group()
def llama() -> None:
    """The llama.cpp processes that a running router has."""


@llama.command("list")
@json_option
def list_processes(*, as_json: bool) -> None:
    """List what may run, what does, and what its model is."""
    found = _processes()
    show(found if as_json else [_row(each) for each in found], _COLUMNS, as_json=as_json)


@llama.command()
@click.argument("name")
def start(name: str) -> None:
    """Start NAME and wait until it is ready. Ctrl-C leaves it starting."""
    report = ask("POST", f"{_of(name)}/start")
    since, told = report["crashes"], ""
    while report["state"] != "ready":
        if report["state"] == "crashed" or report["crashes"] > since:
            fail(f"{name} {report['error']}; see: turnout llama logs {name}")
        if (words := _state(report)) != told:
            click.echo(words)
        told = words
        time.sleep(POLL_S)
        report = _one(name)
    click.echo(f"{name} is ready")


@llama.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also while requests use it, which are cut off.")
def stop(name: str, *, force: bool) -> None:
    """Stop NAME and wait until it is gone. The next request for it starts it again."""
    report = ask("POST", f"{_of(name)}/stop", params={"force": force})
    while report["state"] == "stopping":
        time.sleep(POLL_S)
        report = _one(name)
    click.echo(f"{name} is {report['state']}")


@llama.command()
@click.argument("name")
@click.option("-f", "--follow", "goes_on", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("-n", "--lines", default=100, type=click.IntRange(0, 2000), help="How many lines to begin with.")
def logs(name: str, *, goes_on: bool, lines: int) -> None:
    """Print what NAME has printed."""
    follow(f"{_of(name)}/logs", params={"lines": lines, "follow": goes_on}, endless=goes_on)


def _of(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"


def _processes() -> list[dict[str, Any]]:
    return ask("GET", _PATH)["processes"]


def _one(name: str) -> dict[str, Any]:
    found = next((each for each in _processes() if each["backend"] == name), None)
    if found is None:
        fail(f"{name} is no longer in the settings")
    return found


def _state(report: dict[str, Any]) -> str:
    return report["state"] if report["percent"] is None else f"{report['state']} {report['percent']}%"


def _row(report: dict[str, Any]) -> dict[str, Any]:
    can = (report["architecture"], report["quantization"], "vision" if report["vision"] else "")
    context, memory = report["context_length"], report["memory"] / _GIB
    return {
        **report,
        "state": _state(report),
        "kind": ", ".join(filter(None, can)),
        "context": "" if context is None else f"{context:,}",
        "memory": f"{'' if report['measured'] else 'about '}{memory:.1f} GiB",
        "note": report["error"] or ("always" if report["when"] == "always" else ""),
    }
