"""Answers in a form that a program can read."""

import json
from typing import Any

from pydantic import BaseModel

from tests.sdk.conformance import feature
from tests.sdk.talk import Talk, user


class Answer(BaseModel):
    city: str
    capital: bool


JSON = '{"city": "Paris", "capital": true}'
QUESTION = "Which city is the capital of France? Answer in JSON."


@feature("Output formats", "`json_object`", "response_format")
def _(talk: Talk) -> None:
    talk.says(JSON)
    content = talk.ask(QUESTION, response_format={"type": "json_object"}).choices[0].message.content
    assert content
    if talk.fake is not None:
        assert json.loads(content) == json.loads(JSON)
        assert "json" in talk.fake.requests[-1].body.decode().lower().replace(QUESTION.lower(), "")
    else:
        assert content.lstrip().startswith(("{", "["))


@feature("Output formats", "`json_schema`", "response_format")
def _(talk: Talk) -> None:
    talk.says(JSON)
    schema = {**Answer.model_json_schema(), "additionalProperties": False}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    content = talk.ask(QUESTION, response_format=wanted).choices[0].message.content
    assert Answer.model_validate_json(content or "").city
    assert talk.was_told(["city", "capital"], "required")


@feature("Output formats", "pydantic model (`.parse()`)", "response_format")
def _(talk: Talk) -> None:
    talk.says(JSON)
    answer = talk.client.chat.completions.parse(model=talk.model, messages=user(QUESTION), response_format=Answer)
    assert isinstance(answer.choices[0].message.parsed, Answer)
    assert talk.was_told(["city", "capital"], "required")


@feature("Output formats", "log probabilities", "logprobs", "top_logprobs")
def _(talk: Talk) -> None:
    if talk.fake is not None:
        talk.scripted(_with_logprobs(talk.party.chunk(content="Hi")))
    chunks = talk.stream(logprobs=True, top_logprobs=2)
    tokens = [t for c in chunks for choice in c.choices if choice.logprobs for t in choice.logprobs.content or ()]
    assert tokens
    assert len(tokens[0].top_logprobs) == 2
    assert tokens[0].logprob <= 0
    assert talk.was_told(True, "logprobs")
    assert talk.was_told(2, "top_logprobs")


def _with_logprobs(chunk: Any) -> Any:
    """A frame that also says how likely its token was, in the backend's own format; a format without that stays."""
    if not isinstance(chunk, dict):
        return chunk
    told = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
    tokens = [{**told, "top_logprobs": [told, {**told, "logprob": -3.5}]}]
    if "choices" not in chunk:
        return {**chunk, "logprobs": tokens}
    (choice,) = chunk["choices"]
    return {**chunk, "choices": [{**choice, "logprobs": {"content": tokens}}]}
