"""`turnout ollama list`, `ps`, `show`, `rm`, `load` and `unload`."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import rich_click as click
from rich.console import Console

from router.commands.ollama.card import card_lines
from router.commands.ollama.naming import model_name, name_argument
from router.commands.ollama.places import BACKENDS, Place, backend_option, backends_option, every_place, one_place
from router.commands.ollama.tables import tell
from router.commands.ollama.words import date, plain, plain_lines, size, span
from router.commands.people import json_option
from router.commands.remote import ask
from router.commands.shared import fail, terminal

LOAD_TIMEOUT_S = 1800.0
"""The router has its own, shorter one: `timeouts.load`."""
_LIST_SPARE = ("family", "modified", "quant", "params", "context", "backend", "loaded")
_PS_SPARE = ("context", "backend")


@click.command("list")
@backends_option
@json_option
def list_models(backend: str | None, *, as_json: bool) -> None:
    """List the models of all Ollama servers, as of now."""
    places = every_place(backend)
    found = [
        {"backend": place.name, **model}
        for place in places
        for model in ask("GET", f"{place.path}/models", params={"refresh": "true"})
    ]
    tell(found, [_listed(each) for each in found], _spare(_LIST_SPARE, places), as_json=as_json)
    if not found and not as_json:
        click.echo("there are no models yet: turnout ollama pull NAME")
    _tell_of_silent(places)


@click.command("ps")
@backends_option
@json_option
def list_running(backend: str | None, *, as_json: bool) -> None:
    """List the models that are in memory, how much of it they take, and for how long."""
    places = every_place(backend)
    found = [{"backend": place.name, **model} for place in places for model in ask("GET", f"{place.path}/ps")]
    tell(found, [_running(each) for each in found], _spare(_PS_SPARE, places), as_json=as_json)
    if not found and not as_json:
        click.echo("no model is loaded")


@click.command("show")
@name_argument
@click.option("--license", "whole_license", is_flag=True, help="Print the whole license, and nothing else.")
@click.option("--template", "only_template", is_flag=True, help="Print the template, and nothing else.")
@backend_option
@json_option
def show_model(name: str, backend: str | None, *, whole_license: bool, only_template: bool, as_json: bool) -> None:
    """Show what a model is: its size, what it can do, its parameters, template and license."""
    place = one_place(backend)
    card = ask("GET", place.model(name))
    if as_json:
        click.echo(json.dumps(card, indent=2))
    elif whole_license or only_template:
        click.echo(plain_lines(card["license" if whole_license else "template"] or ""))
    else:
        for line in card_lines(card):
            terminal().print(line)


@click.command("rm")
@click.argument("names", nargs=-1, required=True, type=model_name)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@backend_option
@json_option
def remove(names: tuple[str, ...], backend: str | None, *, yes: bool, as_json: bool) -> None:
    """Remove models from the disk of an Ollama server. Asks first."""
    place = one_place(backend)
    gone: list[dict[str, Any]] = []
    for name in names:
        if not (yes or click.confirm(f"Remove {plain(name)} from {place.name}? {_loss(place, name)}", err=True)):
            fail("nothing more is removed")
        gone.append(ask("DELETE", place.model(name)))
        if not as_json:
            click.echo(f"{plain(name)} is no longer on {place.name}")
    if as_json:
        click.echo(json.dumps(gone, indent=2))


@click.command("load")
@name_argument
@click.option("--keep-alive", help="For how long after the last request, such as 30m; -1 is for ever.")
@backend_option
@json_option
def load(name: str, keep_alive: str | None, backend: str | None, *, as_json: bool) -> None:
    """Load a model into memory, so that the next request need not wait for it."""
    place = one_place(backend)
    asked = {} if keep_alive is None else {"keep_alive": _kept_for(keep_alive)}
    with _waiting(f"{place.name} loads {plain(name)}"):
        kept = ask("POST", f"{place.model(name)}/load", json=asked, timeout_s=LOAD_TIMEOUT_S)
    _tell_of_kept(kept, f"{plain(name)} is loaded on {place.name}", as_json=as_json)


@click.command("unload")
@name_argument
@backend_option
@json_option
def unload(name: str, backend: str | None, *, as_json: bool) -> None:
    """Take a model out of memory. The next request for it loads it again."""
    place = one_place(backend)
    kept = ask("POST", f"{place.model(name)}/unload", json={}, timeout_s=LOAD_TIMEOUT_S)
    _tell_of_kept(kept, f"{plain(name)} is no longer loaded on {place.name}", as_json=as_json)


def _kept_for(text: str) -> float | str:
    """A number is seconds, which Ollama wants as one."""
    try:
        return float(text)
    except ValueError:
        return text


def _tell_of_kept(kept: Any, words: str, *, as_json: bool) -> None:
    click.echo(json.dumps(kept, indent=2) if as_json else words)


def _waiting(words: str) -> AbstractContextManager[Any]:
    """On a terminal, something that moves."""
    return Console(stderr=True).status(words) if sys.stderr.isatty() else nullcontext()


def _loss(place: Place, name: str) -> str:
    """What would no longer work."""
    aliases = [
        alias["name"]
        for alias in ask("GET", "/api/aliases")
        if any(_same(target, f"{place.name}/{name}") for target in alias["targets"])
    ]
    if not aliases:
        return "To have it again, it must be pulled again."
    return f"Lead there: {', '.join(map(plain, aliases))}."


def _same(target: str, wanted: str) -> bool:
    return target.removesuffix(":latest").lower() == wanted.removesuffix(":latest").lower()


def _tell_of_silent(places: list[Place]) -> None:
    """Says of which of them nobody knows how they are now."""
    ids = {place.id for place in places}
    for each in ask("GET", f"{BACKENDS}/status"):
        if each["id"] in ids and each["state"] == "down":
            why = f" ({plain(each['last_error'])})" if each["last_error"] else ""
            click.echo(f"{each['name']} does not answer{why}: what is listed is what it had", err=True)


def _spare(columns: Sequence[str], places: list[Place]) -> Sequence[str]:
    """What there may be no room for: of one server, its name first."""
    return ("backend", *columns) if len(places) == 1 else columns


def _listed(model: dict[str, Any]) -> dict[str, Any]:
    context, loaded = model["context"], model["loaded"]
    return {
        "backend": model["backend"],
        "name": model["name"],
        "size": size(model["size"]),
        "modified": date(model["modified"]),
        "family": model["family"],
        "params": model["parameters"],
        "quant": model["quantization"],
        "context": None if context is None else f"{context:,}",
        "loaded": {True: "yes", False: "no"}.get(loaded, "-"),
    }


def _running(model: dict[str, Any]) -> dict[str, Any]:
    context, memory, vram = model["context"], model["memory"], model["vram"]
    return {
        "backend": model["backend"],
        "name": model["name"],
        "memory": size(memory),
        "on GPU": "-" if not memory or vram is None else f"{min(100, round(100 * vram / memory))}%",
        "context": None if context is None else f"{context:,}",
        "for": span(model["expires_s"]),
    }
