"""Request fields: told to the backend, refused, or dropped by name, never dropped in silence."""

from typing import Any

from tests.sdk.conformance import feature
from tests.sdk.talk import Talk

LIMITS = ("max_tokens", "max_completion_tokens", "num_predict")


def _plain(name: str, value: Any, *told_as: str, real: bool = True) -> None:
    """A field that a backend is told as it is."""

    @feature("Parameters", f"`{name}`", name, real=real)
    def _(talk: Talk) -> None:
        answer = talk.ask(**{name: value})
        assert answer.choices[0].message.content is not None
        assert talk.was_told(value, name, *told_as)


@feature("Parameters", "`max_tokens`")
def _(talk: Talk) -> None:
    answer = talk.ask(max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    assert talk.was_told(3, *LIMITS)


@feature("Parameters", "`max_completion_tokens`")
def _(talk: Talk) -> None:
    answer = talk.ask(max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    assert talk.was_told(2, *LIMITS)


@feature("Parameters", "`stop`", "stop")
def _(talk: Talk) -> None:
    assert talk.ask(stop="qqq").choices[0].finish_reason in {"stop", "length"}
    assert talk.was_told("qqq", "stop") or talk.was_told(["qqq"], "stop", "stop_sequences")
    talk.ask(stop=["qqq", "zzz"])
    assert talk.was_told(["qqq", "zzz"], "stop", "stop_sequences")


@feature("Parameters", "`n`")
def _(talk: Talk) -> None:
    answer = talk.ask(n=2)
    assert talk.was_told(2, "n")
    assert talk.fake is not None or [choice.index for choice in answer.choices] == [0, 1]


_plain("temperature", 0.25)
_plain("top_p", 0.5)


@feature("Parameters", "`seed`", "seed")
def _(talk: Talk) -> None:
    first, second = (talk.ask(seed=7, temperature=1.0).choices[0].message.content for _ in range(2))
    assert first == second
    assert talk.was_told(7, "seed")


_plain("presence_penalty", 0.5)
_plain("frequency_penalty", 0.5)
_plain("logit_bias", {"11": -1})


@feature("Parameters", "`reasoning_effort`", "reasoning_effort", real=False)
def _(talk: Talk) -> None:
    talk.ask(reasoning_effort="high")
    assert talk.was_told("high", "reasoning_effort", "think", "effort")


_plain("user", "user-1", "user_id")
_plain("metadata", {"team": "blue"})
_plain("store", value=False)
_plain("service_tier", "auto")
_plain("prompt_cache_key", "key-1")


@feature("Parameters", "fields of no standard (`extra_body`)", "top_k")
def _(talk: Talk) -> None:
    talk.ask(extra_body={"top_k": 7})
    assert talk.was_told(7, "top_k")
