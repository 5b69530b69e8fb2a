"""Every revision that ever was becomes the newest one, with what was in it."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from router.access.networks import Grant
from router.access.principal import Scope
from router.storage.api_keys import ApiKeys
from router.storage.backends import Backends
from router.storage.calibration import Calibrations
from router.storage.engine import make_engine
from router.storage.location import StorageProblem
from router.storage.migrate import HEAD, known_revisions, upgrade
from router.storage.networks import AllowedNetworks
from router.storage.tables import Table
from router.storage.usage import Usage
from router.storage.users import Users
from tests.storage.opening import opened

pytestmark = pytest.mark.anyio

PLANTED = Path(__file__).parent / "planted"


async def execute(url: str, *statements: str) -> None:
    engine = make_engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
    await engine.dispose()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Table.metadata))


def test_every_revision_has_rows_to_upgrade():
    """A new revision needs a file here: what a router of that revision would have stored."""
    assert {path.stem for path in PLANTED.glob("*.sql")} == set(known_revisions())


def test_the_code_knows_the_newest_revision():
    assert known_revisions()[-1] == HEAD


@pytest.mark.parametrize("revision", known_revisions())
async def test_a_database_of_an_earlier_revision_is_upgraded_with_all_that_is_in_it(url, revision):
    assert await upgrade(url, to=revision) == revision
    await execute(url, *(PLANTED / f"{revision}.sql").read_text().splitlines())
    assert await upgrade(url) == HEAD
    async with opened(url) as database:
        assert database.state.ok
        (user,) = await Users(database).all()
        (key,) = await ApiKeys(database).all()
        (backend,) = await Backends(database).all()
        (model,) = await Backends(database).models(backend.id)
        (network,) = await AllowedNetworks(database).all()
        (used,) = await Usage(database).latest(10)
        calibrated = await Calibrations(database).all()
        assert (await Users(database).preferences(user.id)).fallback_to_claude
    assert (user.name, key.terms.name, key.terms.models) == ("ada", "laptop", ("coder",))
    assert key.terms.scopes == {Scope.CHAT, Scope.ADMIN}
    assert (backend.definition.name, backend.definition.options) == ("desk", {"max_parallel": 2})
    assert (model.size, model.selected, network.allowed.grant) == (5_000_000_000, True, Grant.CALL)
    assert (used.tokens, calibrated["desk", "m"].samples) == (30, 40)


async def test_the_newest_revision_has_exactly_the_tables_of_the_code(url):
    await upgrade(url)
    engine = make_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_routers_that_start_together_make_one_database(url):
    assert set(await asyncio.gather(*(upgrade(url) for _ in range(4)))) == {HEAD}


async def test_a_database_of_a_newer_version_is_left_alone(url):
    await upgrade(url)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageProblem, match="newer version"):
        await upgrade(url)
    with pytest.raises(StorageProblem, match="newer version"):
        async with opened(url):
            pass


async def test_a_new_file_is_its_owners_alone_and_writes_ahead(sqlite_url):
    await upgrade(sqlite_url)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    assert [found.lstat().st_mode & 0o077 for found in (file, file.parent)] == [0, 0]
    engine = make_engine(sqlite_url)
    async with engine.connect() as connection:
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
    await engine.dispose()
