"""What Ollama is told of how to load a model, and of the tokens of an answer."""

import json

import pytest

from router.canonical.request import Profile
from tests.dialects.test_ollama_requests import embed, rendered, sent

RUNNER = {
    "num_ctx": 1,
    "num_batch": 2,
    "num_gpu": 3,
    "main_gpu": 4,
    "use_mmap": True,
    "num_thread": 5,
    "use_mlock": True,
}


def test_what_a_model_is_loaded_with_is_not_for_clients_to_say():
    found = rendered(options={**RUNNER, "top_k": 3})
    assert json.loads(found.body)["options"] == {"top_k": 3}
    assert set(found.dropped) == set(RUNNER)
    assert rendered(num_ctx=8192).dropped == ("num_ctx",)


def test_a_client_may_say_what_the_alias_says_too():
    found = rendered(Profile(context_length=4096, options={"num_gpu": 3}), options={"num_ctx": 4096, "num_gpu": 3})
    assert (json.loads(found.body)["options"], found.dropped) == ({"num_ctx": 4096, "num_gpu": 3}, ())


def test_an_alias_may_let_clients_say_more():
    profile = Profile(context_length=4096, client_options=frozenset({"num_ctx"}))
    found = rendered(profile, options={"num_ctx": 8192, "num_gpu": 1})
    assert (json.loads(found.body)["options"], found.dropped) == ({"num_ctx": 8192}, ("num_gpu",))
    assert sent(profile)["options"] == {"num_ctx": 4096}


def test_shift_is_the_aliases_and_stands_beside_the_options():
    assert sent(Profile(options={"shift": False})) == {**sent(), "shift": False}
    found = sent(Profile().with_pinned({"shift": False, "num_gpu": 2}))
    assert (found["shift"], found["options"]) == (False, {"num_gpu": 2})


THINKS = frozenset({"completion", "thinking"})


@pytest.mark.parametrize(
    ("fields", "capabilities", "expected"),
    [
        ({"max_tokens": 50}, THINKS, 1050),
        ({}, THINKS, 1100),
        ({"max_tokens": 50}, frozenset({"completion"}), 50),
        ({"max_tokens": 50}, None, 50),
        ({"max_tokens": 50, "reasoning_effort": "none"}, THINKS, 50),
        ({"max_tokens": 500}, THINKS, 1100),
    ],
)
def test_reasoning_takes_nothing_from_the_answers_tokens(fields, capabilities, expected):
    body = rendered(Profile(max_tokens=100, thinking_tokens=1000), capabilities=capabilities, **fields).body
    assert json.loads(body)["options"]["num_predict"] == expected


def test_without_a_limit_there_is_none_to_raise():
    assert "options" not in sent(Profile(thinking_tokens=1000), capabilities=THINKS)


def test_embeddings_load_a_model_as_chats_do():
    profile = Profile(options={"num_gpu": 1, "temperature": 1, "shift": False}, context_length=512)
    assert json.loads(embed(profile, input="x").body)["options"] == {"num_gpu": 1, "num_ctx": 512}
    assert "num_ctx" in (refused := embed(input="x", options={"num_ctx": 1}, num_ctx=1)).dropped
    assert "options" in refused.dropped
