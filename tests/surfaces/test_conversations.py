"""Responses that can be gone on from."""

from msgspec import Raw

from router.dialects.openai_responses import Answered
from router.surfaces.conversations import OVERHEAD_BYTES, Conversations

ITEM = 10_000
SIZE = 2 * OVERHEAD_BYTES + ITEM + 10
ROOM = 100 * SIZE


def item(name: str) -> Raw:
    head = f'{{"id":"{name}","text":"'.encode()
    return Raw(head + b"x" * (ITEM - len(head) - 2) + b'"}')


def kept(conversations: Conversations, name: str, previous: str | None = None, owner: str = "me") -> None:
    answer = Answered(name, Raw(b'{"id":"%b"}' % name.encode()), (item(name),))
    conversations.keep(owner, (), answer, previous=previous)


def test_a_conversation_is_all_that_led_to_it_in_order():
    conversations = Conversations(max_bytes=ROOM)
    for name, previous in (("a", None), ("b", "a"), ("c", "b"), ("d", "b")):
        kept(conversations, name, previous)
    assert conversations.of("me").conversation("d") == [item("a"), item("b"), item("d")]


def test_nobody_sees_anothers():
    conversations = Conversations(max_bytes=ROOM)
    kept(conversations, "a", owner="somebody")
    own = conversations.of("me")
    assert (own.conversation("a"), own.item("a")) == (None, None)
    assert conversations.of("somebody").item("a") == item("a")


def test_nobody_goes_on_from_anothers_through_their_own():
    conversations = Conversations(max_bytes=ROOM)
    kept(conversations, "a", owner="somebody")
    kept(conversations, "b", "a")
    assert conversations.of("me").conversation("b") is None


def test_the_oldest_goes_when_there_is_no_room():
    conversations = Conversations(max_bytes=3 * SIZE)
    for name in "abcd":
        kept(conversations, name)
    own = conversations.of("me")
    assert [own.conversation(name) is not None for name in "abcd"] == [False, True, True, True]


def test_what_is_used_stays_and_with_it_what_it_goes_on_from():
    conversations = Conversations(max_bytes=4 * SIZE)
    own = conversations.of("me")
    for name, previous in (("a", None), ("b", "a"), ("x", None), ("y", None)):
        kept(conversations, name, previous)
    assert own.conversation("b")
    kept(conversations, "z")
    kept(conversations, "w")
    assert [own.conversation(name) is not None for name in ("a", "b", "x", "y")] == [True, True, False, False]


def test_what_is_larger_than_all_the_room_is_not_kept():
    conversations = Conversations(max_bytes=SIZE - 1)
    kept(conversations, "a")
    assert conversations.of("me").conversation("a") is None


def test_an_item_is_found_by_its_own_id_only():
    conversations = Conversations(max_bytes=ROOM)
    given = (Raw(b'{"id":"other","text":"msg_1"}'), Raw(b"[]"))
    conversations.keep("me", given, Answered("r", Raw(b"{}"), ()), previous=None)
    own = conversations.of("me")
    assert (own.item("msg_1"), own.item("other")) == (None, Raw(b'{"id":"other","text":"msg_1"}'))


def test_a_response_is_forgotten_by_its_owner_alone_and_its_room_is_free_again():
    conversations = Conversations(max_bytes=2 * SIZE)
    kept(conversations, "a")
    kept(conversations, "b", "a")
    assert not conversations.of("somebody").forget("a")
    own = conversations.of("me")
    assert (own.forget("a"), own.forget("a")) == (True, False)
    assert (own.response("a"), own.conversation("b")) == (None, None)
    kept(conversations, "c")
    assert own.response("b") is not None
    assert own.response("c") is not None


def test_a_response_is_shown_with_its_items():
    conversations = Conversations(max_bytes=ROOM)
    kept(conversations, "a")
    shown = conversations.of("me").response("a")
    assert shown == b'{"id":"a","output":[%b]}' % bytes(item("a"))


def test_without_room_nothing_is_kept():
    conversations = Conversations(max_bytes=0)
    kept(conversations, "a")
    assert conversations.of("me").response("a") is None


def test_an_item_is_gone_with_its_response_unless_a_newer_one_has_it():
    conversations = Conversations(max_bytes=ROOM)
    own = conversations.of("me")
    shared = Raw(b'{"id":"msg_1"}')
    for name in "ab":
        conversations.keep("me", (shared,), Answered(name, Raw(b"{}"), ()), previous=None)
    assert own.forget("a")
    assert own.item("msg_1") == shared
    assert own.forget("b")
    assert own.item("msg_1") is None
