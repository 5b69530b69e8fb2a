"""Records of requests that are too old are deleted, a few at a time."""

import asyncio

import pytest

from router.access.limits import DAY_S
from router.storage.database import Database
from router.storage.retention import BATCH, Retention, deleting
from router.storage.usage import Usage
from router.storage.usage_buffer import usage_record
from router.storage.usage_rows import insert_usage
from tests.running import running
from tests.storage.opening import opened, until
from tests.usage.recorded import recorded

pytestmark = pytest.mark.anyio

TODAY = 20_000
KEY = "a-key-of-a-test-that-is-long-enough"


async def fill(database: Database, *days: int) -> None:
    records = [
        usage_record(recorded(started_at=day * DAY_S + 1.0), uid=f"u-{number}") for number, day in enumerate(days)
    ]
    await database.store(lambda session: insert_usage(session, records))


def now() -> float:
    return TODAY * DAY_S + 5.0


async def test_today_and_so_many_days_before_are_kept(url):
    async with opened(url) as database:
        await fill(database, TODAY, TODAY - 1, TODAY - 7, TODAY - 8, TODAY - 900)
        retention = Retention(database, keep_days=7, clock=now)
        assert await retention.delete_some() == 2
        assert await retention.delete_some() == 0
        kept = {record.day for record in await Usage(database).latest(10)}
    assert kept == {TODAY, TODAY - 1, TODAY - 7}


async def test_one_run_deletes_no_more_than_a_batch_and_the_oldest_first(url):
    async with opened(url) as database:
        await fill(database, TODAY, *[TODAY - 100] * BATCH, TODAY - 99, TODAY - 98)
        retention = Retention(database, keep_days=7, clock=now)
        assert await retention.delete_some() == BATCH
        assert {record.day for record in await Usage(database).latest(10)} == {TODAY, TODAY - 99, TODAY - 98}
        assert await retention.delete_some() == 2


async def test_all_is_kept_unless_the_settings_say_how_long(url):
    async with opened(url) as database, deleting(database, keep_days=None):
        await fill(database, 1, 2)
        assert await Usage(database).count() == 2


async def test_a_running_router_deletes_what_is_too_old(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setenv("TURNOUT_SECRET_KEY", KEY)
    async with opened(sqlite_url, KEY) as database:
        await fill(database, 1, 2, 3)
    config = {"database": {"url": sqlite_url, "keep_days": 30}, "server": {"data_dir": str(tmp_path)}}
    async with running(config) as r:
        await until(r.router.storage.opened.is_set)
        usage = r.router.storage.stored.usage
        async with asyncio.timeout(10):
            while await usage.count():
                await asyncio.sleep(0.02)
