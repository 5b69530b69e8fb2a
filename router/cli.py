"""The `turnout` command."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import rich_click as click
from pydantic import ValidationError

from router import __version__
from router.commands.backends import backends
from router.commands.completion import completion
from router.commands.connect import connect
from router.commands.db import db
from router.commands.llama import llama
from router.commands.looking import queue, usage
from router.commands.ollama import ollama
from router.commands.people import keys, users
from router.commands.shared import config_option, existing, fail, settings_of, source_of, terminal
from router.commands.status import status
from router.errors import RouterError
from router.settings import Settings

if TYPE_CHECKING:
    from router.config_watch import Source
    from router.doctor.findings import Findings

NOTHING_KEPT = {"server": {"data_dir": None}}
LOG_LEVELS = ("debug", "info", "warning", "error")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="turnout")
def main() -> None:
    """One OpenAI-compatible address in front of the models you already have."""


for command in (status, db, backends, llama, ollama, users, keys, usage, queue, connect, completion):
    main.add_command(command)


@main.command()
@config_option
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Lowest level that is logged.")
def serve(config: Path | None, host: str | None, port: int | None, log_level: str | None) -> None:
    """Serve until stopped. Without a settings file, finds what runs on this machine."""
    path = existing(config, os.environ)
    source = source_of(path, os.environ) if path else None
    written = source.written if source else Settings()
    settings = _overridden(written, host=host, port=port, log_level=log_level)
    _serve(settings, look_around=source is None, demo=False, source=source)


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Lowest level that is logged.")
def demo(host: str | None, port: int | None, log_level: str | None) -> None:
    """Serve a tiny real model, embedded: nothing else is needed, and nothing is kept. Wants the extra `demo`."""
    settings = _overridden(Settings.model_validate(NOTHING_KEPT), host=host, port=port, log_level=log_level)
    _serve(settings, look_around=False, demo=True)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(file: Path | None) -> None:
    """Check a settings file and say what is wrong with it, line by line."""
    from router.processes.launch import unusable

    path = existing(file, os.environ)
    if path is None:
        fail("there is no settings file here: name one, or write a turnout.yaml")
    settings = settings_of(path, os.environ, also=unusable)
    click.echo(f"{path}: {len(settings.backends)} backends, {len(settings.models)} aliases, no errors")


@main.command()
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors."""
    from router.config_docs import schema_text

    click.echo(schema_text(), nl=False)


@main.command()
@config_option
def models(config: Path | None) -> None:
    """List aliases and what every backend has, as of now."""
    from router.banner import model_table

    router = _looked_at(config)
    terminal().print(model_table(router.fleet))


@main.command()
@click.argument("model")
@click.option("--task", help="The task that the request names.")
@config_option
def route(model: str, task: str | None, config: Path | None) -> None:
    """Explain where a request for MODEL would go."""
    from router.banner import route_table
    from router.routing.wanted import Wanted

    fleet = _looked_at(config).fleet
    try:
        chosen = fleet.plan(Wanted(model, task=task), now=monotonic())
    except RouterError as error:
        fail(error.message)
    terminal().print(route_table(chosen))


@main.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(config: Path | None, *, as_json: bool) -> None:
    """Look at every backend and say what is wrong and how to mend it. Exit status 1 when something is."""
    from router.doctor.advice import complaints
    from router.doctor.report import document, lines

    findings = _examined(config)
    wrong = complaints(findings)
    if as_json:
        click.echo(json.dumps(document(findings, wrong), indent=2))
    else:
        for line in lines(findings, wrong):
            terminal().print(line)
    sys.exit(1 if wrong else 0)


def _serve(settings: Settings, *, look_around: bool, demo: bool, source: "Source | None" = None) -> None:
    from router.banner import first_key, welcome
    from router.embedded import EmbeddedFailed, EmbeddedUnavailable
    from router.logs import log_to_terminal
    from router.serving import CannotListen, Start, Told
    from router.serving import run as run_loop
    from router.serving import serve as run_server

    log_to_terminal(settings.server.log_level)
    console = terminal()
    start = Start(settings, look_around=look_around, demo=demo, source=source)
    needs_key = bool(settings.auth.api_keys) or settings.auth.required
    told = Told(
        lambda router, url: welcome(console, router, url, needs_key=needs_key), lambda made: first_key(console, made)
    )
    try:
        run_loop(lambda: run_server(start, os.environ, told))
    except* (CannotListen, EmbeddedUnavailable, EmbeddedFailed) as group:
        fail(str(group.exceptions[0]))


def _looked_at(config: Path | None) -> Any:
    """A router whose backends have just been looked at."""
    from router.app import build, close
    from router.banner import look_at_all

    logging.getLogger("router.routing.prober").setLevel(logging.ERROR)
    settings, optional = _with_surroundings(config)
    router = build(settings, optional=optional)

    async def look() -> None:
        try:
            await look_at_all(router)
        finally:
            await close(router.fleet)

    asyncio.run(look())
    return router


def _examined(config: Path | None) -> "Findings":
    from router.app import build_fleet, close
    from router.doctor.look import examine

    settings, optional = _with_surroundings(config)
    fleet = build_fleet(settings, optional=optional)

    async def look() -> "Findings":
        try:
            return await examine(settings, fleet.adapters, optional=optional)
        finally:
            await close(fleet)

    return asyncio.run(look())


def _with_surroundings(config: Path | None) -> tuple[Settings, frozenset[str]]:
    """The settings; without a file, with the places where a backend may be, and their names."""
    from router.discovery import guessed, places, with_backends

    path = existing(config, os.environ)
    settings = settings_of(path, os.environ)
    if path is not None:
        return settings, frozenset()
    around = places(os.environ, own_ports=settings.server.ports)
    return with_backends(settings, around), guessed(around)


def _overridden(settings: Settings, **given: str | int | None) -> Settings:
    """The settings with what the command line says instead; checked again, because an address may need a key."""
    wanted = {key: value for key, value in given.items() if value is not None}
    if not wanted:
        return settings
    document = settings.model_dump()
    document["server"] = {**document["server"], **wanted}
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        fail(error.errors()[0]["msg"])
