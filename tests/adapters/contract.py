"""What every adapter must do, one function per clause. A clause takes a way to open a party of one kind.

`contract_failures.py` goes on with what may go wrong.
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from router.canonical.auxiliary import AuxiliaryRequest, TokenizeRequest
from router.canonical.events import Ended, Finished, Started, ToolCallStarted
from router.dialects import openai_embeddings
from router.errors import StreamBroken, UnsupportedOperation
from tests.adapters.fickle import Fickle
from tests.adapters.party import BACKEND, SHOWN, TOOLS, Party, adapter_for
from tests.fakes import Faults, Scripted
from tests.fakes.embedding import as_base64, vector

Open = Callable[..., AbstractAsyncContextManager[Party]]
Clause = Callable[[Open], Awaitable[None]]

CLAUSES: list[Clause] = []
EMBEDDING_CLAUSES: list[Clause] = []


def clause(function: Clause) -> Clause:
    CLAUSES.append(function)
    return function


def embedding_clause(function: Clause) -> Clause:
    """A clause for those kinds alone that make embeddings."""
    EMBEDDING_CLAUSES.append(function)
    return function


@clause
async def a_whole_answer_is_one_frame(opened: Open) -> None:
    async with opened() as party:
        heard = await party.hear(stream=False)
        assert (heard.text, len(heard.frames), heard.error) == (party.fake.reply, 1, None)


@clause
async def a_streamed_answer_comes_in_pieces_and_ends(opened: Open) -> None:
    async with opened() as party:
        heard = await party.hear()
        assert (heard.text, heard.error) == (party.fake.reply, None)
        assert len(heard.frames) > 1
        assert isinstance(heard.events[-1], Ended)


@clause
async def an_answer_goes_by_the_name_the_client_used(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            heard = await party.hear(stream=stream)
            assert [event.model for event in heard.events if isinstance(event, Started)] == [SHOWN]
            assert party.is_native or party.model.encode() not in b"".join(frame.raw for frame in heard.frames)


@clause
async def the_backend_gets_its_own_name_for_the_model(opened: Open) -> None:
    async with opened() as party:
        await party.hear()
        assert party.fake.requests[0].json["model"] == party.model


@clause
async def tokens_are_counted_asked_or_not(opened: Open) -> None:
    async with opened() as party:
        for options in ({"stream": False}, {"stream": True}, {"stream_options": {"include_usage": True}}):
            usage = (await party.hear(**options)).completed.usage
            assert usage is not None
            assert (usage.prompt, usage.completion) == (2, 4)


@clause
async def a_choice_has_one_finish_reason(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            found = (await party.hear(stream=stream)).events
            assert [event.reason for event in found if isinstance(event, Finished)] == ["stop"]


@clause
async def a_cut_answer_finishes_with_length(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            heard = await party.hear(stream=stream, max_tokens=2)
            assert heard.completed.choices[0].finish_reason == "length"


@clause
async def reasoning_is_kept_apart(opened: Open) -> None:
    async with opened() as party:
        party.fake.thinking = "Let me see."
        for stream in (True, False):
            (choice,) = (await party.hear(stream=stream)).completed.choices
            assert (choice.reasoning, choice.text) == ("Let me see.", party.fake.reply)


@clause
async def a_tool_call_is_whole(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            asked = [{"role": "user", "content": "weather in Paris?"}]
            (choice,) = (await party.hear(stream=stream, messages=asked, tools=TOOLS)).completed.choices
            (call,) = choice.tool_calls
            assert (call.name, json.loads(call.arguments), choice.finish_reason) == (
                "f",
                {"city": "Paris"},
                "tool_calls",
            )


@clause
async def tool_calls_have_ids_and_indexes_of_their_own(opened: Open) -> None:
    async with opened() as party:
        party.fake.script(party.chat_path, Scripted(lines=[party.called("f", "g"), *party.end()]))
        heard = await party.hear(tools=TOOLS)
        started = [event for event in heard.events if isinstance(event, ToolCallStarted)]
        assert [(event.index, event.name) for event in started] == [(0, "f"), (1, "g")]
        assert len({event.id for event in started} - {""}) == 2
        assert [json.loads(call.arguments) for call in heard.completed.choices[0].tool_calls] == [
            {"x": "f"},
            {"x": "g"},
        ]


@clause
async def a_server_that_does_not_stream_is_understood(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(ignore_stream=True)
        heard = await party.hear()
        assert (heard.text, heard.error) == (party.fake.reply, None)


@clause
async def a_finished_answer_leaves_its_connection_for_the_next(opened: Open) -> None:
    async with (
        opened() as party,
        Fickle(party.whole("ok"), requests_each=100) as server,
        adapter_for(party.kind, server.url) as adapter,
    ):
        party.adapter = adapter
        for _ in range(3):
            assert (await party.hear(stream=False)).text == "ok"
        assert server.connections == 1


@clause
async def a_finished_stream_leaves_its_connection_for_the_next(opened: Open) -> None:
    async with (
        opened() as party,
        Fickle(party.streamed("ok"), requests_each=100, late_end_s=0.01) as server,
        adapter_for(party.kind, server.url) as adapter,
    ):
        party.adapter = adapter
        for _ in range(3):
            assert (await party.hear()).text == "ok"
        assert server.connections == 1


@clause
async def a_look_never_generates(opened: Open) -> None:
    async with opened() as party:
        await party.adapter.probe(timeout_s=5)
        assert party.fake.requests == []
        assert party.fake.probes


@clause
async def a_look_lists_the_models(opened: Open) -> None:
    async with opened() as party:
        probe = await party.adapter.probe(timeout_s=5)
        listed = party.fake.models[:1] if party.kind == "llama_cpp" else party.fake.models
        assert [model.name for model in probe.models] == [model.name for model in listed]


@embedding_clause
async def embeddings_keep_the_order_of_their_inputs(opened: Open) -> None:
    async with opened() as party:
        several = await party.embed(["b", "a", "b"])
        alone = await party.embed(["a"])
        vectors = [numbers(vector) for vector in several.vectors]
        assert vectors[0] == vectors[2] != vectors[1] == numbers(alone.vectors[0])


@embedding_clause
async def a_batch_of_embeddings_is_split_and_joined(opened: Open) -> None:
    inputs = [f"text {at}" for at in range(5)]
    async with opened(embedding_batch=2) as party:
        split = await party.embed(inputs)
        assert len(party.fake.requests) == 3
        single = [await party.embed([text]) for text in inputs]
        assert [numbers(vector) for vector in split.vectors] == [numbers(one.vectors[0]) for one in single]
        assert split.usage is not None
        assert split.usage.prompt == 10


@embedding_clause
async def embeddings_come_as_numbers_or_as_base64(opened: Open) -> None:
    async with opened() as party:
        wanted = [vector(text, 4) for text in ("a", "b")]
        for form in ("float", "base64"):
            found = await party.embed(["a", "b"], encoding_format=form)
            body = json.loads(openai_embeddings.render(found, model=SHOWN, base64=form == "base64"))
            told = [item["embedding"] for item in body["data"]]
            assert told == (wanted if form == "float" else [as_base64(each) for each in wanted])
            assert body["model"] == SHOWN


@clause
async def the_key_and_the_headers_go_to_the_backend(opened: Open) -> None:
    async with opened(api_key="its-own-key", headers={"X-Token": "its-token"}) as party:
        await party.hear()
        headers = party.fake.requests[0].headers
        assert (headers["authorization"], headers["x-token"]) == ("Bearer its-own-key", "its-token")


@clause
async def closing_twice_is_closing(opened: Open) -> None:
    async with opened() as party:
        await party.hear()
        await party.adapter.aclose()
        await party.adapter.aclose()


def numbers(vector: Any) -> list[float]:
    return json.loads(bytes(vector))


@clause
async def a_text_goes_on_whole_and_in_pieces(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            heard = await party.complete(stream=stream)
            (choice,) = heard.completed.choices
            assert (choice.text, choice.finish_reason, heard.error) == (party.fake.reply, "stop", None)
            assert isinstance(heard.events[-1], Ended)
            assert [event.model for event in heard.events if isinstance(event, Started)] == [SHOWN]
            assert party.fake.requests[-1].json["model"] == party.model


@clause
async def a_text_that_goes_on_is_counted(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            usage = (await party.complete(stream=stream)).completed.usage
            assert usage is not None
            assert (usage.prompt, usage.completion) == (2, 4)


@clause
async def each_prompt_has_its_own_answers(opened: Open) -> None:
    async with opened() as party:
        for stream in (True, False):
            heard = await party.complete(stream=stream, prompt=["one", "two"], n=2)
            assert [(choice.index, choice.text) for choice in heard.completed.choices] == [
                (at, party.fake.reply) for at in range(4)
            ]
            assert [type(event) for event in heard.events].count(Ended) == 1
            await party.settled()


@clause
async def a_text_that_breaks_off_is_a_failure(opened: Open) -> None:
    async with opened() as party:
        party.fake.faults = Faults(drop_after=2)
        heard = await party.complete()
        assert isinstance(heard.error, StreamBroken)
        assert BACKEND in heard.error.message


@clause
async def a_smaller_job_is_done_or_refused_as_such(opened: Open) -> None:
    async with opened() as party:
        asked = AuxiliaryRequest(operation="tokenize", model=SHOWN, asked=TokenizeRequest(content="one two"))
        work = party.adapter.auxiliary(asked, party.attempt(party.model))
        if party.kind == "llama_cpp":
            assert (await work).tokens is not None
            return
        with pytest.raises(UnsupportedOperation, match=BACKEND):
            await work
