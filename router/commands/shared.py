"""What commands have in common: the settings file, the terminal, and ending with a complaint."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import rich_click as click
from rich.console import Console

from router.config import Check, ConfigError, find, nothing_else, parse, read
from router.config_watch import Source
from router.settings import Settings

PIPE_WIDTH = 200

config_option = click.option(
    "--config", "config", type=click.Path(path_type=Path), help="The settings file. Default: ./turnout.yaml"
)


def existing(named: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file that is named or found."""
    return named or find(environ, Path())


def settings_of(named: Path | None, environ: Mapping[str, str], *, also: Check = nothing_else) -> Settings:
    """The settings of the file that is named or found, the defaults without one; a file with errors is the end."""
    path = existing(named, environ)
    return Settings() if path is None else source_of(path, environ, also=also).written


def source_of(path: Path, environ: Mapping[str, str], *, also: Check = nothing_else) -> Source:
    """The file and what it says; a file with errors is the end, and so is what `also` finds."""
    try:
        text = read(path)
        return Source(path, environ, text, parse(text, source=str(path), environ=environ, also=also))
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(1)


def terminal() -> Console:
    """Standard output; into a file or a pipe, tables are as wide as they need to be."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Says what is wrong and ends the command."""
    click.echo(f"turnout: {message}", err=True)
    sys.exit(status)
