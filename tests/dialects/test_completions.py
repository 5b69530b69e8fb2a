"""Text completions: what is written is read back, what servers sent is understood, what clients send is passed on."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from router.canonical.completion import CompletionRequest
from router.canonical.events import Ended, Event, Finished, LogprobsReported, Started, TextDelta, UsageReported
from router.canonical.fold import Completed, fold
from router.canonical.request import Profile
from router.dialects import llama_completion, ollama, openai_completions
from router.errors import BadRequest, StreamBroken
from tests.dialects.recordings import body, recording
from tests.dialects.streams import cut, cuts, event_stream, events, frames, payloads, texts

PLAIN = Profile()


def asked(**fields: Any) -> CompletionRequest:
    return openai_completions.parse_request(json.dumps({"model": "m", "prompt": "a b", **fields}).encode())


def to_openai(profile: Profile = PLAIN, **fields: Any) -> dict[str, Any]:
    return json.loads(openai_completions.render_request(asked(**fields), "wire", profile))


def to_llama(profile: Profile = PLAIN, **fields: Any) -> dict[str, Any]:
    return json.loads(llama_completion.render_request(asked(**fields), "wire", profile))


def to_ollama(profile: Profile = PLAIN, capabilities: Any = None, **fields: Any) -> dict[str, Any]:
    return json.loads(ollama.render_generate(asked(**fields), "wire", profile, capabilities).body)


def token(text: str) -> Raw:
    entry = {"token": text, "logprob": -0.5, "bytes": list(text.encode())}
    return Raw(msgspec.json.encode([{**entry, "top_logprobs": [entry]}]))


@st.composite
def answers(draw: st.DrawFn) -> list[list[Event]]:
    """The events of a whole answer, one batch for each frame; the choices take turns."""
    count = draw(st.integers(1, 3))
    said: list[list[Event]] = []
    for choice in range(count):
        out: list[Event] = []
        for text in draw(st.lists(texts, max_size=4)):
            out.append(TextDelta(text, choice))
            if draw(st.booleans()):
                out.append(LogprobsReported(token(text), choice))
        said.append(out)
    batches: list[list[Event]] = [[Started("cmpl-1", "shown", draw(st.integers(1, 2**33)))]]
    while any(said):
        turn = draw(st.sampled_from([choice for choice in said if choice]))
        batches.append([turn.pop(0) for _ in range(min(len(turn), draw(st.integers(1, 3))))])
    batches += [[Finished(draw(st.sampled_from(["stop", "length", "content_filter"])), at)] for at in range(count)]
    if draw(st.booleans()):
        batches.append([UsageReported(draw(st.integers(0, 999)), draw(st.integers(0, 999)))])
    return [*batches, [Ended()]]


def encoder(*, include_usage: bool = True) -> openai_completions.Encoder:
    return openai_completions.Encoder(model="shown", include_usage=include_usage, top_logprobs=1)


def encoded(batches: list[list[Event]]) -> bytes:
    writer = encoder()
    return b"".join(writer.encode(batch) for batch in batches)


def folded(batches: list[list[Event]]) -> Completed:
    return fold(event for batch in batches for event in batch)


def decoded(stream: bytes, choices: int, places: list[int] | None = None) -> list[Event]:
    decoder = openai_completions.StreamDecoder("shown", choices=choices)
    return events(frames(decoder, cut(stream, places or [])))


@given(answers())
def test_an_answer_survives_being_written_and_read(batches):
    wanted = folded(batches)
    assert fold(decoded(encoded(batches), len(wanted.choices))) == wanted


@given(answers())
def test_a_whole_answer_survives_being_written_and_read(batches):
    wanted = folded(batches)
    assert fold(openai_completions.decode_whole(encoder().whole(wanted), "shown").events) == wanted


@given(answers(), st.data())
def test_an_answer_reads_the_same_however_it_is_cut(batches, data):
    stream = encoded(batches)
    assert decoded(stream, 3, data.draw(cuts(len(stream)))) == decoded(stream, 3)


@given(answers(), st.data())
def test_a_stream_that_ends_early_is_never_taken_for_whole(batches, data):
    stream = encoded(batches).removesuffix(b"data: [DONE]\n\n")
    decoder = openai_completions.StreamDecoder("shown", choices=len(folded(batches).choices), strict_end=True)
    with pytest.raises(StreamBroken):
        frames(decoder, cut(stream, data.draw(cuts(len(stream)))))


@given(answers())
def test_usage_is_never_sent_to_a_client_that_did_not_ask(batches):
    writer = encoder(include_usage=False)
    *chunks, end = payloads(b"".join(writer.encode(batch) for batch in batches))
    assert end == "[DONE]"
    assert not [chunk for chunk in chunks if "usage" in chunk]


@given(answers())
def test_an_answer_of_the_same_format_is_forwarded_and_means_the_same(batches):
    reader = openai_completions.StreamDecoder("shown", choices=3)
    writer = encoder()
    forwarded = b"".join(writer.forward(frame) for frame in frames(reader, [encoded(batches)]))
    assert fold(decoded(forwarded, 3)) == fold(decoded(encoded(batches), 3))


def test_fields_that_nobody_knows_reach_a_client_of_the_same_format():
    chunk = {"id": "c", "model": "wire", "choices": [{"index": 0, "text": "a", "x_vendor": 1}], "timings": {"n": 2}}
    reader = openai_completions.StreamDecoder("shown")
    (frame,) = reader.feed(event_stream(chunk))
    assert payloads(encoder().forward(frame)) == [{**chunk, "model": "shown"}]


def test_what_llama_cpp_sent_in_openais_format_is_understood():
    answer = fold(decoded(body("completions_oai_stream"), 1))
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].text
    assert answer.usage == UsageReported(3, 3, 2)
    several = fold(openai_completions.decode_whole(body("completions_oai_multi"), "shown").events)
    assert [choice.text for choice in several.choices] == [" a canvas", " grows on"]


def test_log_probabilities_in_the_form_of_chats_are_understood_too():
    (choice,) = fold(openai_completions.decode_whole(body("completions_oai_echo_suffix"), "shown").events).choices
    assert [entry["token"] for entry in msgspec.json.decode(choice.logprobs)] == [" a", " canvas"]


@pytest.mark.parametrize(
    ("name", "text", "usage"),
    [
        ("completion_native_stream", " a canvas", UsageReported(3, 2, 2)),
        ("infill_stream", "assistant\n", UsageReported(7, 3, 0)),
    ],
)
@given(data=st.data())
def test_what_llama_cpp_streamed_in_its_own_format_is_understood(name, text, usage, data):
    stream = body(name)
    decoder = llama_completion.StreamDecoder("shown")
    answer = fold(events(frames(decoder, cut(stream, data.draw(cuts(len(stream)))))))
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (text, "length")
    assert (answer.usage.prompt, answer.usage.completion) == (usage.prompt, usage.completion)


@pytest.mark.parametrize("name", ["completion_native", "infill"])
def test_what_llama_cpp_sent_whole_in_its_own_format_is_understood(name):
    sent = recording(name)["response"]["body"]
    answer = fold(llama_completion.decode_whole(body(name), "shown").events)
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == (sent["content"], "length")
    assert answer.usage == UsageReported(sent["tokens_evaluated"], sent["tokens_predicted"], sent["timings"]["cache_n"])
    assert (choice.logprobs is not None) == ("completion_probabilities" in sent)


def test_a_stream_of_llama_cpp_without_its_last_piece_is_broken():
    stream = event_stream({"content": "a", "stop": False})
    with pytest.raises(StreamBroken):
        frames(llama_completion.StreamDecoder("shown"), [stream])


ODD_BODIES = [b'{"choices":[]}', b'{"choices":[{"text":5}]}', b'{"error":{"message":"boom"}}', b'{"content":']


@pytest.mark.parametrize("odd", ODD_BODIES)
@pytest.mark.parametrize("dialect", [openai_completions, llama_completion])
def test_one_json_body_that_nobody_understands_is_a_broken_stream(dialect, odd):
    decoder = dialect.StreamDecoder("shown")
    assert decoder.feed(odd) == []
    assert decoder.finish() == []
    assert isinstance(decoder.failure, StreamBroken)
    assert not decoder.ended


def test_an_error_inside_a_stream_of_llama_cpp_is_a_failure():
    decoder = llama_completion.StreamDecoder("shown")
    decoder.feed(event_stream({"content": "a", "stop": False}, {"error": {"code": 500, "message": "boom"}}))
    assert isinstance(decoder.failure, StreamBroken)
    assert "boom" in decoder.failure.message


def test_a_server_of_the_same_format_gets_what_the_client_sent():
    fields = {"logit_bias": {"5": -100}, "best_of": 3, "n": 2, "echo": True, "x_vendor": [1], "suffix": "z"}
    assert to_openai(**fields) == {"model": "wire", "prompt": "a b", **fields}


def test_usage_is_asked_for_on_every_stream():
    assert to_openai(stream=True)["stream_options"] == {"include_usage": True}
    assert to_openai(stream=True, stream_options={"x": 1})["stream_options"] == {"x": 1, "include_usage": True}


def test_options_of_ollama_become_fields_that_others_know():
    options = {"temperature": 0.5, "num_predict": 9, "stop": "END", "top_k": 3, "num_ctx": 4096, "seed": None}
    common = {"temperature": 0.5, "stop": ["END"], "top_k": 3, "model": "wire", "prompt": "a b"}
    assert to_openai(options=options, keep_alive=0) == {**common, "max_tokens": 9}
    assert to_llama(options=options, keep_alive=0) == {**common, "n_predict": 9, "stream": False}


def test_no_limit_of_ollama_is_no_limit_at_all():
    assert "max_tokens" not in to_openai(options={"num_predict": -1})
    assert "n_predict" not in to_llama(options={"num_predict": -1})
    assert to_ollama(options={"num_predict": -1})["options"] == {"num_predict": -1}


@pytest.mark.parametrize(("sent", "limit"), [(None, 20), (5, 5), (50, 20), (-1, 20)])
def test_an_alias_caps_the_answer(sent, limit):
    profile = Profile(max_tokens=20)
    assert to_openai(profile, max_tokens=sent)["max_tokens"] == limit
    assert to_llama(profile, max_tokens=sent)["n_predict"] == limit
    assert to_ollama(profile, max_tokens=sent)["options"]["num_predict"] == limit


def test_options_of_an_alias_stand_under_those_of_the_client():
    profile = Profile(options={"temperature": 0.125, "top_k": 7, "num_ctx": 99, "cache": True})
    for render in (to_openai, to_llama):
        sent = render(profile, temperature=0.5)
        assert (sent["temperature"], sent["top_k"], "num_ctx" in sent, "cache" in sent) == (0.5, 7, False, False)
    assert to_ollama(profile, temperature=0.5)["options"] == {"temperature": 0.5, "top_k": 7, "num_ctx": 99}


def test_fields_of_llama_cpps_own_reach_it_but_for_those_that_would_spoil_the_answer():
    sent = to_llama(
        grammar="root ::= x", input_extra=[{"filename": "f", "text": "t"}], suffix="z", response_fields=["x"]
    )
    assert (sent["grammar"], sent["input_extra"]) == ("root ::= x", [{"filename": "f", "text": "t"}])
    assert not {"response_fields", "prompt", "suffix"} & sent.keys()


def test_ollama_is_never_told_to_think_where_the_text_alone_is_wanted():
    rendered = ollama.render_generate(asked(think=True, best_of=2), "wire", PLAIN, None)
    assert "think" not in json.loads(rendered.body)
    assert rendered.dropped == ("best_of", "think")


def test_one_of_several_prompts_is_a_request_of_its_own():
    request = asked(prompt=["a", "longer"], n=2, logit_bias={"1": 2})
    single = request.longest()
    assert (single.prompts, single.n, single.size < request.size) == (("longer",), 1, True)
    assert json.loads(openai_completions.render_request(single, "wire", PLAIN)) == {
        "model": "wire", "prompt": "longer", "logit_bias": {"1": 2}
    }  # fmt: skip


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.recursive(
                st.none() | st.booleans() | st.integers(-5, 200) | st.floats(allow_nan=False) | st.text(max_size=4),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["stop", "seed"]), inner),
                max_leaves=5,
            )
            for name in ("model", "prompt", "suffix", "n", "logprobs", "options", "stop", "stream_options", "metadata")
        },
    )
)
def test_any_json_is_either_understood_or_refused(fields):
    with suppress(BadRequest):
        request = asked(**fields)
        for single in (request, request.longest()):
            openai_completions.render_request(single, "wire", PLAIN)
        llama_completion.render_request(request.single(0), "wire", PLAIN)
        ollama.render_generate(request.single(0), "wire", PLAIN, None)


@given(st.binary(max_size=200))
def test_any_bytes_are_either_understood_or_refused(body):
    with pytest.raises(BadRequest):
        openai_completions.parse_request(body)
