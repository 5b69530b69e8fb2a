"""Getting an answer: whole, streamed, with its counts and its reasons."""

import openai

from tests.fakes import Faults
from tests.sdk.conformance import feature
from tests.sdk.talk import Talk, text_of, user

THOUGHT = "Let me think about it."


@feature("Chat", "whole answer")
def _(talk: Talk) -> None:
    answer = talk.ask()
    choice = answer.choices[0]
    assert (answer.object, answer.model, choice.index) == ("chat.completion", talk.model, 0)
    assert answer.id
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in {"stop", "length"}


@feature("Chat", "stream")
def _(talk: Talk) -> None:
    chunks = talk.stream()
    assert text_of(chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason in {"stop", "length"}
    assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", talk.model)}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


@feature("Chat", "stream helper (`.stream()`)")
def _(talk: Talk) -> None:
    with talk.client.chat.completions.stream(model=talk.model, messages=user("Say hello.")) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in {"stop", "length"}


@feature("Chat", "usage")
def _(talk: Talk) -> None:
    usage = talk.ask().usage
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@feature("Chat", "usage at the end of a stream")
def _(talk: Talk) -> None:
    *before, last = talk.stream(stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in before)


@feature("Chat", "reasoning (`reasoning_content`)", real=False)
def _(talk: Talk) -> None:
    talk.says("Hello.", thinking=THOUGHT)
    message = talk.ask().choices[0].message
    assert message.model_extra is not None
    assert (message.model_extra["reasoning_content"], message.content) == (THOUGHT, "Hello.")


@feature("Chat", "reasoning, streamed before the answer", real=False)
def _(talk: Talk) -> None:
    talk.says("Hello.", thinking=THOUGHT)
    chunks = talk.stream()
    said = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in said) == THOUGHT
    assert text_of(chunks) == "Hello."
    first_text = next(at for at, chunk in enumerate(chunks) if chunk.choices and chunk.choices[0].delta.content)
    assert not any(said[first_text:])


@feature("Chat", "a stream that breaks ends with an error", real=False)
def _(talk: Talk) -> None:
    assert talk.fake is not None
    talk.fake.reply = "One word after another. " * 3
    talk.fake.faults = Faults(drop_after=7, times=1)
    text, failure = "", None
    try:
        stream = talk.client.chat.completions.create(model=talk.model, messages=user("hi"), stream=True)
        for chunk in stream:
            text += text_of([chunk])
    except openai.APIError as error:
        failure = error
    assert text
    assert isinstance(failure, openai.APIError)
    assert failure.code == "stream_broken"
