"""What every adapter must do when things go wrong, one function per clause."""

import asyncio
from typing import Any

import pytest

from router.canonical.adapter import Timeouts
from router.errors import (
    BackendBusy,
    BackendFailed,
    BackendLoading,
    BackendRefusedKey,
    BackendTimeout,
    BackendUnreachable,
    ModelMissing,
    RateLimited,
    RejectedByBackend,
    RouterError,
    StreamBroken,
)
from tests.adapters.contract import Open, clause, embedding_clause
from tests.adapters.fickle import Fickle
from tests.adapters.party import BACKEND, Heard, Party, adapter_for
from tests.fakes import Faults, Scripted

SHORT_S = 0.03
CANCELLED_WITHIN_S = 0.1
QUICK = Timeouts(connect=1, first_token=SHORT_S, idle=SHORT_S)
KEY, TOKEN = "very-secret-key", "hunter2-hunter2"


def broken(heard: Heard, kind: type[RouterError]) -> RouterError:
    """The error that was heard; it is of this kind and says which backend it is about."""
    assert isinstance(heard.error, kind)
    assert BACKEND in heard.error.message
    return heard.error


@clause
async def an_error_in_the_stream_comes_after_what_was_said(opened: Open) -> None:
    async with opened() as party:
        party.fake.script(
            party.chat_path, Scripted(lines=[party.chunk(content="Partial"), party.failed("CUDA error"), *party.end()])
        )
        heard = await party.hear()
        assert heard.text == "Partial"
        assert "CUDA error" in broken(heard, StreamBroken).message


@clause
async def an_answer_without_its_end_marker_is_broken(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(missing_end=True)
        heard = await party.hear()
        assert heard.text == party.fake.reply
        broken(heard, StreamBroken)


@clause
async def an_empty_answer_is_no_answer(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(end_after=0)
        broken(await party.hear(), StreamBroken)


@clause
async def a_connection_lost_in_the_middle_breaks_the_answer(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(drop_after=3, chunk_delay_s=0.001)
        broken(await party.hear(), StreamBroken)


@clause
async def a_connection_lost_in_the_middle_of_a_whole_body_breaks_it(opened: Open) -> None:
    async with opened() as party:
        for faults in (Faults(drop_after=1), Faults(end_after=1)):
            party.fake.faults = faults
            assert isinstance((await party.hear(stream=False)).error, StreamBroken)


@clause
async def a_connection_lost_before_any_answer_is_an_unreachable_backend(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(drop_after=0)
        broken(await party.hear(), BackendUnreachable)


@clause
async def a_frame_that_is_not_json_breaks_the_answer_after_what_was_said(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(bad_json_at=2)
        heard = await party.hear()
        assert party.fake.reply.startswith(heard.text)
        assert heard.text
        broken(heard, StreamBroken)


@clause
async def a_body_that_is_not_json_is_the_backends_failure(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(bad_json_at=0)
        broken(await party.hear(stream=False), BackendFailed)


@clause
async def an_error_status_becomes_the_error_it_means(opened: Open) -> None:
    meanings: list[tuple[Faults, type[RouterError]]] = [
        (Faults(status=500), BackendFailed),
        (Faults(status=503), BackendBusy),
        (Faults(status=429), RateLimited),
        (Faults(status=401), BackendRefusedKey),
        (Faults(status=403), BackendRefusedKey),
        (Faults(status=404, body={"error": "model 'm' not found"}), ModelMissing),
        (Faults(status=404, body="404 page not found"), BackendFailed),
        (Faults(status=405, body="405 method not allowed"), BackendFailed),
        (Faults(status=400, body={"error": {"message": "bad"}}), RejectedByBackend),
        (Faults(status=302, headers={"Location": "http://elsewhere.test/"}), BackendFailed),
        (Faults(status=504, body="<html>"), BackendTimeout),
    ]
    async with opened() as party:
        for stream in (True, False):
            for faults, kind in meanings:
                party.fake.faults = faults
                heard = await party.hear(stream=stream)
                assert isinstance(heard.error, kind), (faults, heard.error)
                assert BACKEND in heard.error.message


@clause
async def when_to_come_back_is_kept(opened: Open) -> None:
    async with opened() as party:
        for status in (429, 503):
            party.fake.faults = Faults(status=status, headers={"Retry-After": "7"})
            error = (await party.hear()).error
            assert error is not None
            assert error.retry_after == 7


@clause
async def a_backend_that_never_answers_is_given_up_at_the_first_token_limit(opened: Open) -> None:
    async with opened(timeouts=QUICK) as party:
        for faults in (Faults(hang_before_headers=True), Faults(stall_after=0)):
            party.fake.faults = faults
            broken(await party.hear(), BackendTimeout)


@clause
async def a_backend_that_falls_silent_is_given_up_at_the_idle_limit(opened: Open) -> None:
    async with opened(timeouts=Timeouts(first_token=5, idle=SHORT_S)) as party:
        party.fake.faults = Faults(stall_after=3)
        heard = await party.hear()
        assert heard.text
        broken(heard, BackendTimeout)


@clause
async def a_slow_answer_that_keeps_coming_is_no_timeout(opened: Open) -> None:
    async with opened(timeouts=Timeouts(first_token=5, idle=4 * SHORT_S)) as party:
        party.fake.reply = "one two three four five six seven eight"
        party.fake.faults = Faults(chunk_delay_s=0.02)
        assert (await party.hear()).text == party.fake.reply


@clause
async def a_refused_connection_is_an_unreachable_backend(opened: Open) -> None:
    async with opened() as party:
        await party.fake.stop()
        broken(await party.hear(), BackendUnreachable)


@clause
async def a_backend_that_came_back_is_reached_again(opened: Open) -> None:
    async with opened() as party:
        await party.hear()
        await party.fake.stop()
        await party.fake.start()
        assert (await party.hear()).text == party.fake.reply


@clause
async def cancelling_closes_the_connection_at_once(opened: Open) -> None:
    async with opened() as party:
        for faults in (Faults(hang_before_headers=True), Faults(stall_after=0), Faults(stall_after=2)):
            party.fake.reset()
            party.fake.faults = faults
            for stream in (True, False):
                seen = len(party.fake.disconnects)
                asking = asyncio.create_task(party.hear(stream=stream))
                await party.fake.until(lambda: party.fake.in_flight == 1)
                await cancelled(asking)
                await party.fake.until(
                    lambda seen=seen: len(party.fake.disconnects) > seen, within_s=CANCELLED_WITHIN_S
                )


@clause
async def leaving_early_closes_the_connection_at_once(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(stall_after=2)
        listening = party.listen()
        await anext(listening)
        await listening.aclose()
        await party.fake.until(lambda: len(party.fake.disconnects) == 1, within_s=CANCELLED_WITHIN_S)


@clause
async def leaving_a_later_prompt_closes_its_connection_at_once(opened: Open) -> None:
    async with opened() as party:
        await party.complete()
        party.fake.faults = Faults(chunk_delay_s=0.02)
        asked = asyncio.create_task(party.complete(prompt=["one", "two", "three"], n=2))
        await party.fake.until(lambda: len(party.fake.requests) == (2 if party.kind == "openai" else 3))
        asked.cancel()
        await asyncio.wait([asked])
        await party.fake.until(lambda: party.fake.in_flight == 0, within_s=CANCELLED_WITHIN_S)
        assert len(party.fake.requests) < 6


@clause
async def a_thousand_cancels_leave_the_pool_usable(opened: Open) -> None:
    async with opened() as party:
        for round_ in range(10):
            party.fake.faults = Faults(hang_before_headers=True)
            asking = [asyncio.create_task(party.hear()) for _ in range(100)]
            if round_ % 2:
                await party.fake.until(lambda: party.fake.in_flight > 50, within_s=5)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        await party.settled()
        party.fake.reset()
        assert (await party.hear()).text == party.fake.reply
        await party.settled()


@clause
async def a_connection_that_died_while_idle_is_replaced_once(opened: Open) -> None:
    async with (
        opened() as party,
        Fickle(party.whole("ok"), requests_each=1) as server,
        adapter_for(party.kind, server.url) as adapter,
    ):
        party.adapter = adapter
        for _ in range(2):
            assert (await party.hear(stream=False)).text == "ok"
        assert (server.connections, server.requests) == (2, 3)


@clause
async def a_new_connection_that_dies_is_not_tried_again(opened: Open) -> None:
    async with (
        opened() as party,
        Fickle(b"", requests_each=0) as server,
        adapter_for(party.kind, server.url) as adapter,
    ):
        party.adapter = adapter
        broken(await party.hear(stream=False), BackendUnreachable)
        assert server.requests == 1


@clause
async def a_look_that_fails_says_so(opened: Open) -> None:
    meanings: list[tuple[Faults, type[RouterError]]] = [
        (Faults(health="fail"), BackendFailed),
        (Faults(health="hang"), BackendTimeout),
        (Faults(health="loading"), BackendLoading),
    ]
    async with opened() as party:
        for faults, kind in meanings:
            party.fake.faults = faults
            assert type(await look_error(party)) is kind
        await party.fake.stop()
        assert type(await look_error(party)) is BackendUnreachable


@embedding_clause
async def embedding_errors_are_errors_of_the_same_kinds(opened: Open) -> None:
    async with opened(timeouts=QUICK) as party:
        for faults, kind in (
            (Faults(status=500), BackendFailed),
            (Faults(status=404, body={"error": 'model "m" not found, try pulling it first'}), ModelMissing),
            (Faults(bad_json_at=0), BackendFailed),
            (Faults(hang_before_headers=True), BackendTimeout),
            (Faults(drop_after=0), BackendUnreachable),
        ):
            party.fake.faults = faults
            with pytest.raises(kind, match=BACKEND):
                await party.embed(["a"])


@clause
async def no_error_tells_a_secret(opened: Open) -> None:
    async with opened(api_key=KEY, headers={"X-Token": TOKEN, "X-Auth": "Token abcdefgh"}, timeouts=QUICK) as party:
        url = party.fake.url
        said = f"bad key {KEY} or token {TOKEN} or abcdefgh at {url}/v1 ({url.removeprefix('http://')})"
        echo = Scripted(lines=[party.chunk(content="x"), party.failed(said)])
        for faults in (*(Faults(status=each, body={"error": said}) for each in (400, 401, 404, 429, 500, 503)),
                       Faults(status=500, body=said), Faults(drop_after=0), Faults(hang_before_headers=True),
                       Faults(stall_after=2), Faults(drop_after=2)):  # fmt: skip
            party.fake.faults = faults
            check_secrecy((await party.hear()).error, url)
            check_secrecy((await party.hear(stream=False)).error, url)
        party.fake.reset()
        party.fake.script(party.chat_path, echo)
        check_secrecy((await party.hear()).error, url)
        await party.fake.stop()
        check_secrecy((await party.hear()).error, url)
        check_secrecy(await look_error(party), url)


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


async def look_error(party: Party) -> RouterError | None:
    try:
        await party.adapter.probe(timeout_s=SHORT_S)
    except RouterError as error:
        return error
    return None


def check_secrecy(error: RouterError | None, url: str) -> None:
    assert error is not None
    told = f"{error.message} {error.param} {error!r} {error.__cause__!r}"
    assert not [secret for secret in (KEY, TOKEN, "abcdefgh", url, url.removeprefix("http://")) if secret in told], told
