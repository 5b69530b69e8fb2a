"""Keeping signed reasoning for clients that drop it."""

from msgspec import Raw

from adapters.reasoning_store import ReasoningStore
from router.canonical.request import Message, ToolCall

A, B = Raw(b'{"type":"thinking","thinking":"a","signature":"A"}'), Raw(b'{"type":"redacted_thinking","data":"B"}')


def turn(*ids: str, blocks: tuple[Raw, ...] = ()) -> Message:
    return Message("assistant", tool_calls=tuple(ToolCall(one, "f", "{}") for one in ids), reasoning_blocks=blocks)


def kept(store: ReasoningStore, *ids: str) -> list[tuple[Raw, ...]]:
    (message,) = store.restored([turn(*ids)])
    return [call.reasoning_blocks for call in message.tool_calls]


def test_each_call_gets_back_what_led_to_it():
    store = ReasoningStore()
    store.remember({"1": (A,), "2": ()})
    assert kept(store, "1", "2", "3") == [(A,), (), ()]


def test_a_message_without_known_calls_stays_as_it_is():
    message = turn("1", blocks=(A,))
    assert ReasoningStore().restored([message]) == (message,)


def test_what_the_client_sends_itself_wins_when_it_is_something_else():
    store = ReasoningStore()
    store.remember({"1": (A,)})
    message = turn("1", blocks=(B,))
    assert store.restored([message]) == (message,)


def test_the_same_blocks_written_in_another_way_are_the_same():
    store = ReasoningStore()
    store.remember({"1": (A,)})
    spaced = Raw(b'{"signature": "A", "thinking": "a", "type": "thinking"}')
    (message,) = store.restored([turn("1", blocks=(spaced,))])
    assert (message.reasoning_blocks, message.tool_calls[0].reasoning_blocks) == ((), (A,))


def test_the_oldest_is_dropped_when_there_are_too_many():
    store = ReasoningStore(max_calls=2)
    for name in ("1", "2"):
        store.remember({name: (A,)})
    kept(store, "1")
    store.remember({"3": (A,)})
    assert [kept(store, name) for name in ("1", "2", "3")] == [[(A,)], [()], [(A,)]]


def test_the_oldest_is_dropped_when_they_are_too_large():
    store = ReasoningStore(max_bytes=len(bytes(A)) + 10)
    store.remember({"1": (A,)})
    store.remember({"2": (A,)})
    assert [kept(store, name) for name in ("1", "2")] == [[()], [(A,)]]


def test_what_was_not_accepted_is_forgotten():
    store = ReasoningStore()
    store.remember({"1": (A,), "2": (B,)})
    store.forget([turn("1")])
    assert kept(store, "1", "2") == [(), (B,)]
