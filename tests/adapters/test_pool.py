"""Connections of our own: what of HTTP they understand, what they refuse, and what becomes of them."""

import asyncio

import pytest
from yarl import URL

from adapters.connection import MAX_HEAD_BYTES, MAX_WAITING_BYTES, Answer, Disconnected, framed, head_lines, head_of
from adapters.pool import Pool, Unreachable
from tests.adapters.scripted import saying

pytestmark = pytest.mark.anyio

HEAD = framed(head_of("POST", b"/", [(b"Host", b"x")]), 0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def whole(answer: Answer) -> bytes:
    read = b""
    while data := await answer.read():
        read += data
    return read


async def asked(pool: Pool) -> bytes:
    return await whole(await pool.send(HEAD, b""))


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([OK], b"ok"),
        ([bytes([byte]) for byte in OK], b"ok"),
        ([CHUNKED + b"2\r\nok\r\n1;ext=1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"], b"ok!"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK], b"ok"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 30_000, b"b" * 30_000, b"c" * 40_000],
         b"a" * 30_000 + b"b" * 30_000 + b"c" * 40_000),
    ],
    ids=["plain", "byte by byte", "chunked", "after interim answers", "no content", "empty", "long"],
)  # fmt: skip
async def test_an_answer_is_read_and_its_connection_used_again(pieces, body):
    async with saying(*pieces) as (pool, wire):
        for _ in range(3):
            assert await asked(pool) == body
        assert wire.connections == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [OK + b"more"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"a" * 20_001],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n", b"a" * 40_001],
        [OK + OK],
        [OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")],
        [OK.replace(b"1.1", b"1.0")],
    ],
)
async def test_a_connection_that_cannot_be_trusted_with_another_answer_is_closed(pieces):
    async with saying(*pieces) as (pool, wire):
        for _ in range(2):
            assert (await asked(pool))[:2] in {b"ok", b"aa"}
        assert wire.connections == 2


async def test_an_answer_may_go_on_to_the_end_of_its_connection():
    async with saying(b"HTTP/1.1 200 OK\r\n\r\nto the ", b"end", hang_up=True) as (pool, wire):
        assert [await asked(pool), await asked(pool)] == [b"to the end", b"to the end"]
        assert wire.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"2\r\nok\r\nzz\r\nno\r\n",
        CHUNKED + b"-1\r\nok\r\n",
        CHUNKED + b"ffffffffffffffffff\r\nok\r\n",
        CHUNKED + b"2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\nok",
    ],
)
async def test_a_body_that_breaks_off_or_is_cut_wrongly_is_told_of_after_what_came(answer):
    async with saying(answer, hang_up=True) as (pool, _):
        got = await pool.send(HEAD, b"")
        read = b""
        with pytest.raises(Disconnected):
            while True:
                read += await got.read()
        assert read == (b"ok" if b"\r\nok" in answer and b"-1" not in answer and b"ff" not in answer else b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1024),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 4),
    ],
)
async def test_what_is_no_answer_is_refused(answer):
    async with saying(answer, hang_up=not answer) as (pool, wire):
        with pytest.raises(Disconnected):
            await asyncio.wait_for(pool.send(HEAD, b""), 2)
        assert wire.connections == 1


async def test_trailers_without_end_are_refused():
    flood = b"X: " + b"x" * MAX_HEAD_BYTES
    async with saying(CHUNKED + b"2\r\nok\r\n0\r\n", flood, flood) as (pool, _):
        with pytest.raises(Disconnected):
            await asyncio.wait_for(asked(pool), 2)


async def test_pieces_come_when_they_are_sent():
    async with saying(CHUNKED + b"1\r\na\r\n", b"1\r\nb\r\n", b"1\r\nc\r\n0\r\n\r\n", pause_s=0.02) as (pool, _):
        answer = await pool.send(HEAD, b"")
        assert [await answer.read() for _ in range(4)] == [b"a", b"b", b"c", b""]


async def test_a_backend_that_is_faster_than_its_reader_is_made_to_wait():
    size = 64 * MAX_WAITING_BYTES
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with saying(answer) as (pool, _):
        got = await pool.send(HEAD, b"")
        await asyncio.sleep(0.03)
        assert len(got.read_nowait()) < size // 2
        assert 0 < len(await whole(got)) < size


async def test_words_that_nobody_asked_for_close_the_connection():
    async with saying(OK, b"HTTP/1.1 408 Request Timeout\r\n\r\n", pause_s=0.01) as (pool, wire):
        assert await asked(pool) == b"ok"
        await asyncio.sleep(0.03)
        assert await asked(pool) == b"ok"
        assert wire.connections == 2


async def test_connections_are_closed_after_a_time_without_work():
    async with saying(OK, keep_alive_s=0.02) as (pool, wire):
        await asked(pool)
        async with asyncio.timeout(1):
            while not wire.lost:
                await asyncio.sleep(0.005)
        await asked(pool)
        assert wire.connections == 2


async def test_no_more_connections_are_made_than_may_be():
    async with saying(OK, limit=3) as (pool, wire):
        assert await asyncio.gather(*(asked(pool) for _ in range(30))) == [b"ok"] * 30
        assert wire.connections <= 3


async def test_thousands_of_cancels_under_contention_lose_no_place():
    async with saying(b"HTTP/1.1 200 OK\r\n", limit=4) as (pool, wire):
        for round_ in range(100):
            asking = [asyncio.create_task(pool.send(HEAD, b"")) for _ in range(30)]
            for _ in range(round_ % 7):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        wire._pieces = (OK,)
        assert await asyncio.gather(*(asyncio.wait_for(asked(pool), 2) for _ in range(8))) == [b"ok"] * 8


async def test_an_answer_that_is_given_up_closes_its_connection_at_once():
    async with saying(CHUNKED + b"1\r\na\r\n") as (pool, wire):
        answer = await pool.send(HEAD, b"")
        answer.close()
        answer.close()
        async with asyncio.timeout(0.1):
            while not wire.lost:
                await asyncio.sleep(0.002)


async def test_a_server_that_hangs_up_at_once_is_noticed_at_once():
    async with await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0) as server:
        url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        pool = Pool(url, keep_alive_s=1, connect_s=1, limit=1)
        for _ in range(20):
            with pytest.raises((Disconnected, Unreachable)):
                await asyncio.wait_for(pool.send(HEAD, b""), 2)
        await pool.aclose()


async def test_a_connection_that_died_before_its_request_is_noticed():
    async with saying(OK) as (pool, _):
        connection = await pool._connect()
        connection.abort()
        await asyncio.sleep(0)
        with pytest.raises(Disconnected):
            await asyncio.wait_for(connection.send(HEAD, b"").begun(), 1)


async def test_a_port_where_nobody_listens_is_unreachable():
    async with saying(OK) as (pool, _):
        port = pool._url.port
    closed = Pool(URL(f"http://127.0.0.1:{port}"), keep_alive_s=1, connect_s=1, limit=1)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await closed.send(HEAD, b"")


async def test_a_server_without_tls_is_unreachable_for_one_who_wants_it():
    async with saying(OK) as (plain, _):
        pool = Pool(plain._url.with_scheme("https"), keep_alive_s=1, connect_s=1, limit=1)
        with pytest.raises(Unreachable):
            await pool.send(HEAD, b"")


def test_a_header_cannot_bring_another_one():
    for value in (b"a\r\nX: y", b"a\nX: y", b"a\0"):
        with pytest.raises(ValueError, match="line break"):
            head_lines([(b"X-Token", value)])


def test_nobody_but_the_connection_says_where_a_body_ends():
    lines = head_lines([(b"content-length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"X-A", b"1"), (b"x-a", b"2")])
    assert lines == b"x-a: 2\r\n"


async def test_an_answer_to_head_has_no_body_whatever_its_length():
    head = framed(head_of("HEAD", b"/", [(b"Host", b"x")]), 0)
    async with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") as (pool, wire):
        for _ in range(2):
            answer = await asyncio.wait_for(pool.send(head, b""), 10)
            assert (answer.status, await answer.read()) == (200, b"")
        assert wire.connections == 2


async def test_a_body_in_pieces_is_sent_no_further_than_the_answer_wants_it():
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            await asyncio.sleep(0)
            sent += 1
            yield b"a" * 1000

    async with saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno") as (pool, wire):
        answer = await asyncio.wait_for(pool.send_pieces(HEAD, endless()), 10)
        assert (answer.status, await whole(answer)) == (400, b"no")
        assert sent > 0
        assert await asked(pool) == b"no"
        assert wire.connections == 2


async def test_a_body_whose_source_fails_leaves_no_connection():
    async def failing():
        yield b"a"
        raise RuntimeError("gone")

    async with saying(OK, limit=1) as (pool, _):
        with pytest.raises(RuntimeError, match="gone"):
            await pool.send_pieces(HEAD.replace(b"Content-Length: 0", b"Content-Length: 5"), failing())
        assert await asyncio.wait_for(asked(pool), 10) == b"ok"
