"""Chat requests as a backend of the same format gets them."""

import json

import pytest

from router.canonical.request import ChatRequest, Profile
from router.dialects import openai_chat
from router.errors import UnsupportedParameter
from tests.dialects.asking import EVERY_PARAMETER, USER, parsed, rendered


def test_a_backend_of_the_same_format_gets_every_field_as_it_came():
    body = json.dumps({"model": "m", "messages": [USER], "vendor": {"x": [1, 2.50, None]}, **EVERY_PARAMETER})
    request = openai_chat.parse_request(body.encode())
    assert rendered(request) == {**json.loads(body), "model": "wire-name"}


def test_a_backend_of_the_same_format_gets_the_very_digits():
    request = openai_chat.parse_request(b'{"model":"m","messages":[{"role":"user","content":"x"}],"big":1.10e3}')
    assert b'"big":1.10e3' in openai_chat.render_request(request, "m", Profile(), {})


def test_an_alias_fills_in_only_what_the_client_left_open():
    profile = Profile(
        options={"temperature": 0.1, "top_p": 0.9, "options": {"num_ctx": 1}, "keep_alive": "5m", "think": 1}
    )
    found = rendered(parsed(temperature=0.7, top_p=None), profile)
    assert (found["temperature"], found["top_p"]) == (0.7, 0.9)
    assert not {"options", "keep_alive", "think"} & found.keys()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_tokens": 100}),
        ({"max_tokens": 50}, {"max_tokens": 50}),
        ({"max_tokens": 500}, {"max_tokens": 100}),
        ({"max_tokens": -1}, {"max_tokens": 100}),
        ({"max_tokens": None}, {"max_tokens": 100}),
        ({"max_completion_tokens": 500}, {"max_completion_tokens": 100}),
        ({"max_tokens": 500, "max_completion_tokens": 10}, {"max_tokens": 100, "max_completion_tokens": 10}),
        ({"n_predict": 500}, {"n_predict": 100}),
    ],
)
def test_no_client_passes_the_limit_of_an_alias(asked, sent):
    found = rendered(parsed(**asked), Profile(max_tokens=100))
    assert {
        key: value for key, value in found.items() if key in {"max_tokens", "max_completion_tokens", "n_predict"}
    } == sent


def test_the_limit_an_alias_suggests_gives_way_to_the_clients_own():
    assert "max_tokens" not in rendered(parsed(max_completion_tokens=9), Profile(options={"max_tokens": 5}))


def test_an_override_replaces_or_takes_away():
    found = rendered(parsed(stop="x", seed=1), stop=None, seed=2)
    assert "stop" not in found
    assert found["seed"] == 2


@pytest.mark.parametrize("given_options", [None, {}, {"include_usage": False}, {"include_obfuscation": True}])
def test_usage_is_asked_for_beside_the_clients_own_stream_options(given_options):
    asked = openai_chat.asking_for_usage(parsed(stream=True, stream_options=given_options))
    assert asked["include_usage"] is True
    assert asked.keys() == {*(given_options or {}), "include_usage"}


def test_a_request_of_another_format_cannot_be_sent_yet():
    request = parsed()
    other = ChatRequest(model="m", messages=request.messages, wire=type(request.wire)("anthropic_messages", {}))
    with pytest.raises(UnsupportedParameter):
        openai_chat.render_request(other, "m", Profile(), {})


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_tokens": 1100}),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 1050}),
        ({"max_tokens": 50, "reasoning_effort": "none"}, {"max_tokens": 50}),
    ],
)
def test_reasoning_takes_nothing_from_the_answers_tokens(asked, sent):
    found = rendered(parsed(**asked), Profile(max_tokens=100, thinking_tokens=1000))
    assert {key: value for key, value in found.items() if key.startswith("max")} == sent


def test_without_a_limit_there_is_none_to_raise():
    assert "max_tokens" not in rendered(parsed(), Profile(thinking_tokens=1000))
