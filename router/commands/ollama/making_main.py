"""The model for requests that name no other, written into the settings file."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import rich_click as click
from rich.text import Text

from router.canonical.models import ModelInfo, canonical_name
from router.commands.ollama.places import KIND, one_place
from router.commands.ollama.words import plain
from router.commands.shared import fail, terminal
from router.config import ConfigError, parse, read
from router.config_edit import EditRefused
from router.config_edit.changes import Document, section
from router.config_edit.file import Draft, Edited, draft
from router.config_edit.main_model import default_model, replaced, set_main
from router.config_edit.rewrite import plain as written
from router.errors import RouterError

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Wish:
    """The model that is to be the main one; `named` is the backend as it was named, if it was."""

    path: Path
    backend: str
    model: str
    named: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How it is done."""

    may_pull: bool
    yes: bool
    as_json: bool


def make_main(wish: Wish, alias: str | None, manner: Manner) -> None:
    """Looks for the model, shows the change, asks if it replaces something, and makes it."""
    try:
        wish = _there(_meant(wish), manner)
        _settle(wish, _draft(wish, alias), manner)
    except EditRefused as refused:
        fail(f"{wish.path}: {refused}")


def _draft(wish: Wish, alias: str | None) -> Draft:
    try:
        return draft(wish.path, set_main(wish.backend, wish.model, alias=alias), environ=os.environ)
    except ConfigError as error:
        _complain(error)
        fail("the change would break the settings: nothing is changed")


def _settle(wish: Wish, planned: Draft, manner: Manner) -> None:
    alias, lost = default_model(planned.becomes), replaced(planned.was, planned.becomes)
    if not manner.as_json:
        for line in planned.diff.splitlines():
            terminal().print(Text(line, style=_STYLES.get(line[0], "")))
    if lost and not manner.yes and not click.confirm(f"{'; '.join(lost)}. Replace it?", err=True):
        fail("nothing is changed")
    edited = planned.write()
    if manner.as_json:
        told = {"backend": wish.backend, "model": wish.model, "alias": alias, "replaced": lost, "diff": edited.diff}
        click.echo(json.dumps({**told, "backup": edited.backup and edited.backup.name}, indent=2))
    else:
        _tell(wish, edited, str(alias))


def _tell(wish: Wish, edited: Edited, alias: str) -> None:
    led = "" if alias == wish.model else f", by the alias {alias}"
    if edited.backup is None:
        click.echo(f"{wish.model} on {wish.backend} is the main model already{led}: nothing is changed")
        return
    click.echo(f"{wish.model} on {wish.backend} is the main model now{led}")
    click.echo(f"the old file is {edited.backup.name}; a running router takes the new one up by itself")


def _meant(wish: Wish) -> Wish:
    """With the backend of the file that is meant, which may stand before the name. Raises EditRefused."""
    path, named = wish.path, wish.named
    servers = _servers(_written(path))
    first, slash, rest = wish.model.partition("/")
    if slash and rest and first in servers and named in {None, first}:
        return Wish(path, first, rest, first)
    if named is not None and named not in servers:
        raise EditRefused(f"there is no Ollama server {plain(named)} in it; there are: {', '.join(servers) or 'none'}")
    if not servers:
        raise EditRefused("there is no backend of type ollama in it")
    if named is None and len(servers) > 1:
        fail(f"there are several Ollama servers in {path}: say --backend {' or --backend '.join(servers)}", status=2)
    return replace(wish, backend=named or servers[0])


def _written(path: Path) -> Document:
    try:
        return written(read(path))
    except ConfigError as error:
        _complain(error)
        sys.exit(1)


def _servers(document: Document) -> list[str]:
    backends = section(document, "backends")
    return [name for name, each in backends.items() if isinstance(each, dict) and each.get("type") == KIND]


def _there(wish: Wish, manner: Manner) -> Wish:
    """The same by the backend's own name for the model, which may be pulled first."""
    try:
        models = _models(wish)
    except _Unasked as why:
        click.echo(f"{why}, so nobody can tell whether {wish.backend} has {plain(wish.model)}", err=True)
        return wish
    found = next((each for each in models if canonical_name(each.name) == canonical_name(wish.model)), None)
    if found is None:
        _pull(wish, models, manner)
        return _there(wish, replace(manner, may_pull=False))
    if found.lacks("chat"):
        fail(f"{found.name} cannot chat, so it cannot be the main model; it can: {_abilities(found)}")
    return replace(wish, model=found.name.removesuffix(":latest"))


class _Unasked(Exception):
    """What a backend has is not known; the message says why."""


def _models(wish: Wish) -> Sequence[ModelInfo]:
    """What the backend has now; raises _Unasked."""
    from router.app import build_fleet, close

    try:
        settings = parse(read(wish.path), source=str(wish.path), environ=os.environ)
    except ConfigError:
        raise _Unasked(f"{wish.path} has mistakes (turnout check)") from None
    backend = settings.backends[wish.backend].model_copy(update={"enabled": True})
    fleet = build_fleet(settings.model_copy(update={"backends": {wish.backend: backend}, "models": {}, "groups": {}}))
    timeout_s = settings.health.timeout_s

    async def look() -> Sequence[ModelInfo]:
        try:
            async with asyncio.timeout(2 * timeout_s):
                return (await fleet.adapters[wish.backend].probe(timeout_s=timeout_s)).models
        except (RouterError, TimeoutError):
            raise _Unasked(f"{wish.backend} does not answer") from None
        finally:
            await close(fleet)

    return asyncio.run(look())


def _pull(wish: Wish, models: Sequence[ModelInfo], manner: Manner) -> None:
    """Offers to pull the model; without it, this is the end of the command."""
    from router.commands.ollama.following import Wanted
    from router.commands.ollama.pulling import pulled_or_end

    has = ", ".join(each.name for each in models) or "none"
    click.echo(f"{wish.backend} has no {plain(wish.model)}; it has: {has}", err=True)
    if not manner.may_pull and not (sys.stdin.isatty() and click.confirm("Pull it now?", err=True)):
        named = f" --backend {wish.backend}" if wish.named else ""
        fail(f"nothing is changed; to have it first: turnout ollama pull {plain(wish.model)}{named}, or add --pull")
    pulled_or_end(Wanted(one_place(wish.backend), wish.model), wish.named, as_json=manner.as_json)


def _abilities(model: ModelInfo) -> str:
    return ", ".join(sorted(model.capabilities or ()))


def _complain(error: ConfigError) -> None:
    for problem in error.problems:
        click.echo(str(problem), err=True)
