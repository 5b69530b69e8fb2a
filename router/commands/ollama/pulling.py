"""`turnout ollama pull` and `pulls`."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import sys
from shlex import quote
from typing import Any, NoReturn

import rich_click as click

from router.canonical.models import canonical_name
from router.commands.ollama.following import PullFailed, PullLeft, Wanted, fitting, pulled
from router.commands.ollama.naming import name_argument
from router.commands.ollama.places import backend_option, backends_option, every_place, one_place
from router.commands.ollama.tables import tell
from router.commands.ollama.words import plain, size, span
from router.commands.people import json_option
from router.commands.remote import UNREACHABLE, RouterGone, ask
from router.commands.shared import fail

INTERRUPTED = 130
PULLS = "/api/pulls"
_SPARE = ("id", "speed", "left", "backend", "size")


@click.command("pull")
@name_argument
@click.option("--cancel", is_flag=True, help="End the pull that runs; a later one goes on where it was.")
@backend_option
@json_option
def pull(name: str, backend: str | None, *, cancel: bool, as_json: bool) -> None:
    """Pull the model NAME to an Ollama server, or follow the pull that runs. Ctrl-C leaves it running."""
    place = one_place(backend)
    if cancel:
        cancel_one(name, place.name)
        return
    record = pulled_or_end(Wanted(place, name), backend, as_json=as_json)
    click.echo(json.dumps(record, indent=2) if as_json else f"{plain(name)} is on {place.name} now")


@click.command("pulls")
@backends_option
@click.option("--all", "also_ended", is_flag=True, help="Also the last that ended.")
@click.option("--cancel", metavar="MODEL", help="End the pull of this model, or with this id.")
@json_option
def list_pulls(backend: str | None, *, also_ended: bool, cancel: str | None, as_json: bool) -> None:
    """List the models that are being pulled."""
    only = {place.name for place in every_place(backend)} if backend else None
    if cancel is not None:
        cancel_one(cancel, *(only or ()))
        return
    found = [
        each
        for each in ask("GET", PULLS)
        if (also_ended or each["state"] == "running") and (only is None or each["backend"] in only)
    ]
    if found or as_json:
        tell(found, [_row(each) for each in found], _SPARE, as_json=as_json)
    else:
        click.echo("nothing is being pulled")
    for each in found:
        if each["state"] == "failed" and not as_json:
            click.echo(f"{plain(each['model'])} on {each['backend']}: {plain(each['error']['message'])}")


def pulled_or_end(wanted: Wanted, backend: str | None, *, as_json: bool = False) -> dict[str, Any]:
    """The record of the pull at its end; whatever comes between is the end of the command."""
    try:
        return pulled(wanted, fitting(wanted, as_json=as_json))
    except PullFailed as failed:
        fail(str(failed))
    except PullLeft as left:
        end_left(wanted, backend, left)
    except RouterGone as gone:
        fail(str(gone), status=UNREACHABLE)


def end_left(wanted: Wanted, backend: str | None, left: PullLeft) -> NoReturn:
    """Says how to go on with a pull that was left alone."""
    again = f"turnout ollama pull {quote(wanted.model)}{f' --backend {quote(backend)}' if backend else ''}"
    name, place = plain(wanted.model), wanted.place.name
    if not sys.stdout.isatty():
        click.echo(err=True)  # bars have ended the line on which a terminal writes ^C
    if left.begun:
        click.echo(f"{place} goes on pulling {name}\n  follow it: {again}\n  cancel it: {again} --cancel", err=True)
    else:
        click.echo(f"stopped before the router answered; whether it pulls {name}: turnout ollama pulls", err=True)
    sys.exit(INTERRUPTED)


def cancel_one(named: str, *places: str) -> None:
    """Cancels the pull of a model, or with an id, on one of these backends if any are named."""
    running = [each for each in ask("GET", PULLS) if each["state"] == "running"]
    found = [
        each
        for each in running
        if named == each["id"]
        or (canonical_name(named) == canonical_name(each["model"]) and (not places or each["backend"] in places))
    ]
    if not found:
        there = ", ".join(f"{plain(each['model'])} on {each['backend']}" for each in running) or "nothing"
        fail(f"no pull of {plain(named)} runs; being pulled: {there}")
    if len(found) > 1:
        on = " or --backend ".join(each["backend"] for each in found)
        fail(f"{plain(named)} is pulled to several servers: say --backend {on}", status=2)
    ended = ask("DELETE", f"{PULLS}/{found[0]['id']}")
    model, backend = plain(ended["model"]), ended["backend"]
    if ended["state"] == "cancelled":
        click.echo(f"the pull of {model} to {backend} is cancelled; another one goes on where it was")
    else:
        click.echo(f"the pull of {model} to {backend} had ended already: {ended['state']}")


def _row(record: dict[str, Any]) -> dict[str, Any]:
    total, completed, speed = record["total"], record["completed"], record["speed"]
    return {
        "id": record["id"],
        "backend": record["backend"],
        "model": record["model"],
        "state": record["state"],
        "done": f"{min(100, 100 * completed // total)}%" if total else "-",
        "size": size(total or None),
        "speed": f"{size(speed)}/s" if speed else "-",
        "left": span((total - completed) / speed) if speed else "-",
    }
