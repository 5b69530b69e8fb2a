"""Usage is written once, later if it must be, and never at the cost of an answer."""

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from router.canonical.events import UsageReported
from router.errors import AlreadyExists, StorageUnavailable
from router.storage.database import Database
from router.storage.usage import Usage
from router.storage.usage_buffer import MAX_NAME_CHARS, UsageBuffer, usage_record
from router.storage.usage_rows import insert_usage
from router.storage.users import Users
from tests.storage.opening import opened, until
from tests.storage.postgres import Cluster
from tests.usage.recorded import recorded

pytestmark = pytest.mark.anyio


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


async def all_written(database: Database, count: int) -> None:
    await until(lambda: database.state.written == count)
    assert (database.state.waiting, database.state.lost) == (0, 0)
    assert await Usage(database).count() == count


async def test_a_record_is_read_back_as_it_was(url):
    record = recorded(started_at=1_800_000_123.25, asked="wörk\U0001f600", first_token_s=None)
    async with opened(url) as database:
        database.writer.buffer.record(record)
        await all_written(database, 1)
        (used,) = await Usage(database).latest(5)
    assert used == usage_record(record, uid=used.uid)
    assert (used.day, used.tokens) == (20833, 31)


async def test_many_records_are_written_in_batches(url):
    async with opened(url) as database:
        for number in range(1700):
            database.writer.buffer.record(recorded(id=f"req_{number}"))
        await all_written(database, 1700)


async def test_requests_that_share_a_clients_request_id_count_each(url):
    async with opened(url) as database:
        for _ in range(3):
            database.writer.buffer.record(recorded(id="always-the-same"))
        await all_written(database, 3)


async def test_a_batch_that_is_written_again_counts_once(url):
    batch = [usage_record(recorded(), uid=f"run-{number}") for number in range(4)]
    async with opened(url) as database:
        await database.store(lambda session: insert_usage(session, batch[:3]))
        await database.store(lambda session: insert_usage(session, batch))
        assert await Usage(database).count() == 4


async def test_what_is_unwritten_at_the_end_is_written(url):
    async with opened(url) as database:
        for _ in range(30):
            database.writer.buffer.record(recorded())
    async with opened(url) as database:
        assert await Usage(database).count() == 30


async def test_a_locked_database_is_waited_for(sqlite_url, monkeypatch):
    monkeypatch.setattr("router.storage.engine._PRAGMAS", ("PRAGMA busy_timeout = 20",))
    async with opened(sqlite_url) as database:
        other = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(5):
            database.writer.buffer.record(recorded())
        await until(lambda: not database.state.ok)
        assert database.state.reason == "the database is locked"
        assert (database.state.waiting, database.state.lost) == (5, 0)
        with pytest.raises(StorageUnavailable, match="is locked"):
            await Users(database).add("ada")
        other.execute("ROLLBACK")
        other.close()
        await all_written(database, 5)
        assert database.state.ok


async def test_a_full_disk_is_waited_for(sqlite_url):
    async with opened(sqlite_url) as database:
        await Users(database).add("ada")
        pages = [1]

        @event.listens_for(database._engine.sync_engine, "begin")
        def bounded(connection):
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages[0]}")

        for number in range(2000):
            database.writer.buffer.record(recorded(id=f"req_{number}" * 10))
        await until(lambda: not database.state.ok)
        assert database.state.reason == "the disk of the database is full"
        pages[0] = 1_000_000
        await all_written(database, 2000)


async def test_a_file_that_vanished_is_missed_and_never_made_anew(sqlite_url):
    file = file_of(sqlite_url)
    async with opened(sqlite_url) as database:
        hidden = file.parent.rename(file.parent.with_name("elsewhere"))
        database.writer.buffer.record(recorded())
        await until(lambda: not database.state.ok)
        assert "cannot be opened" in database.state.reason
        assert not file.exists()
        hidden.rename(file.parent)
        await all_written(database, 1)


async def test_a_file_that_was_put_in_the_place_of_another_is_upgraded_and_used(sqlite_url):
    file = file_of(sqlite_url)
    async with opened(sqlite_url) as database:
        await Users(database).add("ada")
        file.parent.rename(file.parent.with_name("elsewhere"))
        file.parent.mkdir()
        file.touch()
        await Users(database).add("bob")
        assert [user.name for user in await Users(database).all()] == ["bob"]


async def test_a_server_that_went_away_is_waited_for(cluster: Cluster, postgres_url):
    async with opened(postgres_url) as database:
        database.writer.buffer.record(recorded())
        await all_written(database, 1)
        await asyncio.to_thread(cluster.stop)
        try:
            database.writer.buffer.record(recorded())
            await until(lambda: not database.state.ok)
            assert (database.state.waiting, database.state.lost) == (1, 0)
        finally:
            await asyncio.to_thread(cluster.start)
        await all_written(database, 2)
        await until(lambda: database.state.ok)


async def test_a_server_that_is_not_there_at_the_start_is_waited_for(cluster: Cluster, postgres_url):
    await asyncio.to_thread(cluster.stop)
    try:
        async with opened(postgres_url) as database:
            assert not database.state.ok
            database.writer.buffer.record(recorded())
            await asyncio.to_thread(cluster.start)
            await all_written(database, 1)
    finally:
        if not cluster.running:
            await asyncio.to_thread(cluster.start)


async def test_what_does_not_fit_into_the_buffer_is_counted_as_lost_and_told(sqlite_url, caplog):
    async with opened(sqlite_url, buffer=UsageBuffer(limit=10)) as database:
        for _ in range(25):
            database.writer.buffer.record(recorded())
        assert (database.state.waiting, database.state.lost) == (10, 15)
        await until(lambda: database.state.written == 10)
    assert [line for line in caplog.messages if line.startswith("15 records of usage were not written")]


async def test_a_database_that_never_comes_back_does_not_keep_the_router_from_stopping(sqlite_url, monkeypatch, caplog):
    monkeypatch.setattr("router.storage.engine._PRAGMAS", ("PRAGMA busy_timeout = 20",))
    monkeypatch.setattr("router.storage.database.CLOSE_S", 0.3)
    caplog.set_level(logging.ERROR)
    async with opened(sqlite_url) as database:
        other = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        database.writer.buffer.record(recorded())
    other.close()
    assert database.state.lost == 1
    assert "1 records of usage were not written: the database is locked" in caplog.messages
    assert str(file_of(sqlite_url)) not in caplog.text


async def test_one_record_that_no_database_takes_does_not_hold_up_the_others(url):
    async with opened(url) as database:
        await Users(database).all()
        buffer = database.writer.buffer
        buffer.record(recorded())
        buffer.record(recorded(status=10**30))
        buffer.record(recorded())
        await until(lambda: not database.state.waiting)
        assert (database.state.written, database.state.lost, database.state.ok) == (2, 1, True)


async def test_what_a_change_raises_reaches_whoever_asked_for_it_and_nothing_is_changed(url):
    async with opened(url) as database:
        await Users(database).add("ada")
        with pytest.raises(AlreadyExists):
            await Users(database).add("ada")
        assert [user.name for user in await Users(database).all()] == ["ada"]
        assert database.state.ok


async def test_a_fault_of_our_own_in_a_listener_loses_neither_the_change_nor_the_writer(url, monkeypatch, caplog):
    monkeypatch.setattr("router.storage.writer.MAX_BACKOFF_S", 0.02)
    broken = [False]

    async def listener(_session, _reading):
        if broken[0]:
            raise ZeroDivisionError("planted")

    async with opened(url, listeners=[listener]) as database:
        broken[0] = True
        await Users(database).add("ada")
        await until(lambda: any("ZeroDivisionError" in line for line in caplog.messages))
        broken[0] = False
        await Users(database).add("bob")
        database.writer.buffer.record(recorded())
        await all_written(database, 1)
        assert database.state.ok
    assert "planted" not in caplog.text


async def test_changes_asked_for_together_are_all_made(url):
    async with opened(url) as database:
        await asyncio.gather(*(Users(database).add(f"user {number}") for number in range(20)))
        assert len(await Users(database).all()) == 20


@given(text=st.text(max_size=400), tokens=st.none() | st.integers())
def test_whatever_a_client_or_a_backend_said_can_be_stored(text, tokens):
    usage = UsageReported(prompt=tokens, completion=tokens, cached=tokens, reasoning=tokens)
    stored = usage_record(recorded(asked=text, model=text, usage=usage), uid="u")
    assert len(stored.asked) <= MAX_NAME_CHARS
    assert "\0" not in stored.asked
    assert stored.asked.encode("utf-8").decode("utf-8") == stored.asked
    assert stored.prompt_tokens is None or 0 <= stored.prompt_tokens < 2**63


def test_no_two_records_have_the_same_id_of_their_own():
    buffers = [UsageBuffer() for _ in range(3)]
    for buffer in buffers:
        for _ in range(50):
            buffer.record(recorded())
    assert len({record.uid for buffer in buffers for record in buffer.oldest(50)}) == 150
