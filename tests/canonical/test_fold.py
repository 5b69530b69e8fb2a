"""Events add up to one whole answer."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from router.canonical.events import (
    Ended,
    Finished,
    Frame,
    LogprobsReported,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.fold import Choice, Completed, fold
from router.canonical.models import ModelInfo, canonical_name
from router.canonical.request import ToolCall

counts = st.none() | st.integers(0, 1_000)
usages = st.builds(UsageReported, counts, counts, counts, counts)


def test_nothing_adds_up_to_nothing():
    assert fold([]) == Completed()


def test_pieces_of_each_kind_are_joined():
    said = [ReasoningDelta("2+"), ReasoningDelta("2"), TextDelta("fo"), TextDelta("ur"), Finished("stop"), Ended()]
    assert fold(said).choices == (Choice(0, "four", "2+2", (), "stop"),)


def test_a_call_without_arguments_gets_an_empty_object():
    assert fold([ToolCallStarted(0, "c", "f")]).choices[0].tool_calls == (ToolCall("c", "f", "{}"),)


def test_pieces_of_two_calls_may_take_turns():
    said = [ToolCallStarted(0, "a", "f"), ToolCallStarted(1, "b", "g"),
            ToolCallDelta(0, "{"), ToolCallDelta(1, "["), ToolCallDelta(0, "}"), ToolCallDelta(1, "]")]  # fmt: skip
    assert [call.arguments for call in fold(said).choices[0].tool_calls] == ["{}", "[]"]


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=12))
def test_choices_are_kept_apart_and_in_order(pieces):
    found = fold([TextDelta(text, choice) for choice, text in pieces]).choices
    assert [choice.index for choice in found] == sorted({choice for choice, _ in pieces})
    for choice in found:
        assert choice.text == "".join(text for at, text in pieces if at == choice.index)


def test_logprobs_are_joined():
    found = fold([LogprobsReported(Raw(b'[{"a":1}]')), LogprobsReported(Raw(b'[{"a":2}]'))]).choices[0]
    assert bytes(found.logprobs or b"") == b'[{"a":1},{"a":2}]'


def test_the_first_name_of_an_answer_stays():
    assert fold([Started("a", "m", 1), Started("b", "n", 2)]).id == "a"


@given(usages, usages)
def test_a_count_is_never_lost_to_one_that_is_missing(older, newer):
    merged = older.merged(newer)
    for field in UsageReported.__struct_fields__:
        before, after = getattr(older, field), getattr(newer, field)
        assert getattr(merged, field) == (before if after is None else after)


@given(usages, usages)
def test_counts_add_up_in_any_order(left, right):
    assert left.added(right) == right.added(left)


def test_content_is_what_a_client_would_see():
    assert Frame(b"", (Started(), TextDelta("x"))).has_content
    assert not Frame(b"", (Started(), UsageReported(1))).has_content


def test_latest_and_letter_case_make_no_other_model():
    assert canonical_name("Llama3.2:latest") == canonical_name("llama3.2")
    assert canonical_name("m:8b") != canonical_name("m")


def test_an_ability_that_nobody_stated_is_not_assumed():
    assert not ModelInfo(name="m").can("tools")
