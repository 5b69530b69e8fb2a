"""`turnout db`: what is done to the database itself, while no router has to run."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from router.commands.shared import config_option, fail, settings_of
from router.errors import StorageUnavailable
from router.keeping import place_of
from router.storage.live import Place
from router.storage.location import KEY_FILE_NAME, StorageProblem, database_url
from router.storage.secret_key import VARIABLE, read_keys

Result = TypeVar("Result")


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@config_option
def upgrade(config: Path | None) -> None:
    """Create the tables, or bring them up to this version. `serve` does the same when it starts."""
    place = _place(config)
    revision = _run(_upgraded(place))
    click.echo(f"the database is at revision {revision}")


@db.command()
@config_option
def rekey(config: Path | None) -> None:
    """Seal all secrets with a new secret key, and forget the old one. API keys go on working.

    With TURNOUT_SECRET_KEY, write the new key, a comma and the old one into it, run this, then take the old one out.
    """
    renewed = _run(_rekeyed(_place(config)))
    click.echo(f"{renewed} secrets are sealed with the new key; restart other routers on this database with it")


async def _upgraded(place: Place) -> str:
    from router.storage.migrate import upgrade as upgrade_database

    return await upgrade_database(database_url(place.url, place.folder))


async def _rekeyed(place: Place) -> int:
    from router.storage.database import Opening, open_database
    from router.storage.rekey import rekey as rekey_database
    from router.storage.rekey import rekey_file
    from router.storage.seal import Seal

    seal = Seal(read_keys(place.environ, place.folder))
    async with open_database(database_url(place.url, place.folder), seal, Opening()) as database:
        if place.environ.get(VARIABLE) or place.folder is None:
            return await rekey_database(database, seal)
        return await rekey_file(database, place.folder / KEY_FILE_NAME)


def _place(config: Path | None) -> Place:
    place = place_of(settings_of(config, os.environ))
    if place is None:
        fail("the settings want no database: see database and server.data_dir")
    return place


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except StorageProblem as error:
        fail(str(error))
    except StorageUnavailable as error:
        fail(error.message)
    except OSError as error:
        fail(f"the database cannot be reached: {error.strerror or type(error).__name__}")
