"""In how much of a hurry a request is: header within what the key allows, key, alias, looks."""

import pytest

from router.admission.priority import MANY_INPUTS, from_header, of_chat, of_completion, of_embedding, settled
from router.canonical.caller import Priority

INTER, N, B = Priority.INTERACTIVE, Priority.NORMAL, Priority.BATCH


@pytest.mark.parametrize(
    ("told", "key", "priority"),
    [
        ("", None, None),
        ("", N, N),
        ("batch", None, B),
        ("Interactive", None, INTER),
        ("batch", N, B),
        ("interactive", N, N),
        ("interactive", B, B),
        ("normal", INTER, N),
    ],
)
def test_a_header_may_lower_what_the_key_says_and_not_raise_it(told, key, priority):
    assert from_header(told, key) is priority


@pytest.mark.parametrize("told", ["urgent", "0", "interactive,batch"])
def test_a_word_that_is_no_class_is_an_error(told):
    with pytest.raises(KeyError):
        from_header(told, None)


@pytest.mark.parametrize(
    ("caller", "alias", "looks", "priority"),
    [
        (B, INTER, INTER, B),
        (INTER, B, B, INTER),
        (None, B, INTER, B),
        (None, INTER, B, INTER),
        (None, None, INTER, INTER),
        (None, None, B, B),
    ],
)
def test_the_caller_decides_then_the_alias_then_the_looks(caller, alias, looks, priority):
    assert settled(caller, alias, looks) is priority


def test_a_chat_that_streams_is_waited_for_by_a_person():
    assert (of_chat(stream=True), of_chat(stream=False)) == (INTER, N)


def test_many_embeddings_are_waited_for_by_nobody():
    assert (of_embedding(1), of_embedding(MANY_INPUTS)) == (N, B)


@pytest.mark.parametrize(
    ("stream", "infills", "priority"),
    [(False, False, N), (True, False, INTER), (False, True, INTER), (True, True, INTER)],
)
def test_somebody_waits_for_a_gap_to_be_filled(stream, infills, priority):
    assert of_completion(stream=stream, infills=infills) is priority
