"""A text that goes on, and a gap in one."""

from typing import Any

from tests.sdk.conformance import feature
from tests.sdk.talk import Talk

PROMPT = "The capital of France is"


def _complete(talk: Talk, **fields: Any) -> Any:
    asked: dict[str, Any] = {"model": talk.model, "prompt": PROMPT, "max_tokens": 8, **fields}
    return talk.client.completions.create(**asked)


@feature("Completions", "whole text")
def _(talk: Talk) -> None:
    answer = _complete(talk)
    (choice,) = answer.choices
    assert (answer.object, answer.model, choice.index) == ("text_completion", talk.model, 0)
    assert answer.id
    assert choice.text
    assert choice.finish_reason in {"stop", "length"}
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@feature("Completions", "streamed text")
def _(talk: Talk) -> None:
    chunks = list(_complete(talk, stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert chunks[-1].choices[0].finish_reason in {"stop", "length"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


@feature("Completions", "usage at the end of a streamed text")
def _(talk: Talk) -> None:
    *before, last = _complete(talk, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in before)


@feature("Completions", "a gap in a text (`suffix`)", real=False)
def _(talk: Talk) -> None:
    assert _complete(talk, prompt="def add(a, b):\n", suffix="\nprint(add(1, 2))").choices[0].text
    assert talk.was_told("\nprint(add(1, 2))", "suffix", "input_suffix")


@feature("Completions", "several prompts")
def _(talk: Talk) -> None:
    answer = _complete(talk, prompt=[PROMPT, "One, two,"])
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.text for choice in answer.choices)


@feature("Completions", "several answers (`n`)")
def _(talk: Talk) -> None:
    assert [choice.index for choice in _complete(talk, n=2).choices] == [0, 1]


@feature("Completions", "`echo`")
def _(talk: Talk) -> None:
    assert _complete(talk, echo=True).choices[0].text.startswith(PROMPT)


@feature("Completions", "`stop` of a text")
def _(talk: Talk) -> None:
    assert _complete(talk, stop=["END"]).choices
    assert talk.was_told(["END"], "stop", "stop_sequences")


@feature("Completions", "log probabilities of a text", "logprobs")
def _(talk: Talk) -> None:
    asked = _complete(talk, logprobs=2)
    assert talk.kind.name == "ollama" or asked.choices[0].logprobs.tokens
    assert talk.was_told(2, "logprobs", "n_probs", "top_logprobs")


@feature("Completions", "a prompt of token ids", real=False)
def _(talk: Talk) -> None:
    assert _complete(talk, prompt=[1, 2, 3]).choices[0].text


@feature("Completions", "Ollama's `options`, as some editors send them")
def _(talk: Talk) -> None:
    answer = _complete(talk, max_tokens=None, extra_body={"options": {"num_predict": 2}})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2
