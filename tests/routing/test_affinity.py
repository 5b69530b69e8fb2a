"""Which target served a conversation last."""

from hypothesis import given
from hypothesis import strategies as st

from router.canonical.request import ImagePart, Message, TextPart, ToolCall
from router.routing.affinity import LOOK_BACK, Affinity
from router.routing.catalog import Target

DESK, LAB = Target("desk", "m"), Target("lab", "m")


def said(*texts: str) -> tuple[Message, ...]:
    """A conversation that a user begins."""
    return tuple(Message(("user", "assistant")[place % 2], (TextPart(text),)) for place, text in enumerate(texts))


def served(affinity: Affinity, messages: tuple[Message, ...], target: Target, model: str = "m") -> None:
    conversation, _ = affinity.of(model, messages)
    affinity.remember(conversation, target)


def known(affinity: Affinity, messages: tuple[Message, ...], model: str = "m") -> Target | None:
    return affinity.of(model, messages)[1]


texts = st.lists(st.text(max_size=20), min_size=1, max_size=30)


@given(texts, st.lists(st.text(max_size=20), min_size=1, max_size=LOOK_BACK))
def test_a_conversation_that_grows_is_still_known(before, more):
    affinity = Affinity()
    served(affinity, said(*before), DESK)
    assert known(affinity, said(*before, *more)) == DESK


@given(texts, st.integers(0, 29), st.text(max_size=20))
def test_a_conversation_that_begins_otherwise_is_not(before, place, other):
    place %= min(2, len(before))
    if other == before[place]:
        other += "!"
    affinity = Affinity()
    served(affinity, said(*before), DESK)
    changed = [*before[:place], other, *before[place + 1 :]]
    assert known(affinity, said(*changed, "and then", "more")) is None


def test_the_longest_known_prefix_counts():
    affinity = Affinity()
    served(affinity, said("a"), DESK)
    served(affinity, said("a", "b", "c"), LAB)
    assert known(affinity, said("a", "b", "c", "d", "e")) == LAB
    assert known(affinity, said("a", "other", "c")) == DESK


def test_who_served_it_last_is_remembered():
    affinity = Affinity()
    served(affinity, said("a"), DESK)
    served(affinity, said("a"), LAB)
    assert known(affinity, said("a", "b", "c")) == LAB


def test_one_model_knows_nothing_of_anothers_conversations():
    affinity = Affinity()
    served(affinity, said("a"), DESK, model="m")
    assert known(affinity, said("a", "b", "c"), model="n") is None


def test_a_single_message_is_a_new_conversation_whatever_it_says():
    affinity = Affinity()
    served(affinity, said("hello"), DESK)
    assert known(affinity, said("hello")) is None


def test_the_same_turn_may_be_asked_again():
    affinity = Affinity()
    served(affinity, said("a", "b", "c"), DESK)
    assert known(affinity, said("a", "b", "c")) == DESK


def test_another_last_message_keeps_the_conversation():
    affinity = Affinity()
    served(affinity, said("a"), DESK)
    assert known(affinity, said("a", "b", "c")) == known(affinity, said("a", "b", "edited")) == DESK


def test_images_and_tool_calls_tell_messages_apart():
    first = Message("user", (ImagePart(data="AAAA", media_type="image/png"),))
    other = Message("user", (ImagePart(data="BBBB", media_type="image/png"),))
    called = Message("assistant", tool_calls=(ToolCall("1", "look", '{"at": 1}'),))
    affinity = Affinity()
    served(affinity, (first, called), DESK)
    assert known(affinity, (first, called, first)) == DESK
    assert known(affinity, (other, called, first)) is None
    elsewhere = Message("assistant", tool_calls=(ToolCall("1", "look", '{"at": 2}'),))
    assert known(affinity, (first, elsewhere, first)) is None


def test_no_more_than_the_limit_is_kept_and_the_oldest_goes_first():
    affinity = Affinity(limit=2)
    for text in ("a", "b", "c"):
        served(affinity, said(text), DESK)
    assert len(affinity) == 2
    assert known(affinity, said("a", "x", "y")) is None
    assert known(affinity, said("c", "x", "y")) == DESK


def test_what_is_kept_depends_on_a_key():
    one, same, other = (Affinity(key=key).of("m", said("a"))[0] for key in (b"k" * 16, b"k" * 16, b"l" * 16))
    assert one == same != other


def test_no_content_is_kept():
    affinity = Affinity()
    served(affinity, said("my secret"), DESK)
    assert "secret" not in repr(vars(affinity))
