"""`<think>` tags become reasoning, wherever the text is cut; anything else stays as it came."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.fold import fold
from router.canonical.thinking import MAX_LEAD, Splitter, splitter

TAGS = ["<think>", "</think>", "<think", "</think", "<thi", "</thin", "<", "</", "nk>", ">"]
PIECES = [*TAGS, " ", "\n\n", "a", "so", "é"]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
reasons = st.sampled_from(["stop", "length"])


def pieces(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if text[start:end]]


def streamed(parts: list[str], reason: str = "stop") -> list[Frame]:
    """A stream of one choice, every frame with bytes of its own."""
    events: list[tuple[Event, ...]] = [(Started("c", "m", 1),), *((TextDelta(part),) for part in parts)]
    events += [(Finished(reason),), (UsageReported(1, 2),), (Ended(),)]
    return [Frame(b"raw %d" % at, said) for at, said in enumerate(events)]


def split(parts: list[str], *, opened: bool = False, live: bool = True, reason: str = "stop") -> tuple[str, str]:
    """The reasoning and the text that come out."""
    frames, splitting = streamed(parts, reason), Splitter(opened=opened, live=live)
    if live:
        events = [event for frame in splitting.frames(frames) for event in frame.events]
    else:
        events = splitting.events([event for frame in frames for event in frame.events])
    (choice,) = fold(events).choices
    assert choice.finish_reason == reason
    return choice.reasoning, choice.text


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>so</think>Hi", "so", "Hi"),
        ("<think>\nso\n</think>\n\nHi\n", "so\n", "Hi\n"),
        (" \n<think>so</think>Hi", "so", "Hi"),
        ("<think></think>Hi", "", "Hi"),
        ("<think>\n\n</think>\n\nHi", "", "Hi"),
        ("<think>so", "so", ""),
        ("<think>so</thi", "so</thi", ""),
        ("<think>a < b </ c</think>Hi", "a < b </ c", "Hi"),
        ("<think>so</think>", "so", ""),
        ("<think>so</think>Hi <think>x</think>", "so", "Hi <think>x</think>"),
    ],
)
def test_what_is_between_the_tags_is_reasoning(text, reasoning, answer):
    assert split([text]) == split(list(text)) == (reasoning, answer)


@pytest.mark.parametrize(
    "text",
    ["Hi", " \n Hi", "<thin", "<", "<thinker>", "Use <think> tags</think>.", "so</think>Hi", "", "  ", "</think>Hi"],
)
def test_a_text_that_does_not_begin_with_the_tag_is_forwarded_as_it_came(text):
    frames = streamed(list(text))
    assert Splitter(opened=False, live=True).frames(frames) == frames


def test_a_tag_after_a_great_deal_of_white_space_is_text():
    text = " " * (MAX_LEAD + 1) + "<think>so</think>Hi"
    assert split([text]) == split(list(text)) == ("", text)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("text", ["so</think>\n\nHi", "\nso</think>Hi", "<think>so</think>Hi"])
def test_a_closing_tag_alone_is_understood_where_the_settings_say_so(text, live):
    assert split([text], opened=True, live=live) == split(list(text), opened=True, live=live) == ("so", "Hi")


def test_an_answer_that_might_have_been_reasoning_is_told_as_the_answer_in_the_end():
    assert split(["Hi", " you"], opened=True) == ("Hi you", "Hi you")
    assert split(["Hi you"], opened=True, live=False) == ("", "Hi you")


@pytest.mark.parametrize("live", [False, True])
def test_an_answer_cut_short_before_any_tag_was_reasoning(live):
    assert split(["so and"], opened=True, live=live, reason="length") == ("so and", "")


def test_a_whole_answer_without_tags_is_unchanged_even_where_a_tag_may_be_opened_elsewhere():
    whole = Splitter(opened=True, live=False)
    events = [Started(), TextDelta("Hi"), Finished("stop"), Ended()]
    assert whole.events(events) == events
    assert not whole.has_changed()


def test_a_server_that_splits_by_itself_is_left_alone():
    frames = [Frame(b"x", (said,)) for said in (ReasoningDelta("so"), TextDelta("Hi</think>"), Finished("stop"))]
    assert Splitter(opened=True, live=True).frames(frames) == frames


def test_only_frames_that_hold_reasoning_are_written_anew():
    frames = streamed(["<think>", "so", "</think>", "Hi", " you"])
    told = Splitter(opened=False, live=True).frames(frames)
    assert told == [frames[0], Frame(b"", (ReasoningDelta("so"),)), *frames[4:]]


def test_a_frame_that_only_ends_what_was_held_back_keeps_its_bytes():
    frames = streamed(["<think>so</thi"])
    assert Splitter(opened=False, live=True).frames(frames)[-4:] == [
        Frame(b"", (ReasoningDelta("</thi"),)), *frames[-3:]
    ]  # fmt: skip


def test_a_tool_call_after_white_space_is_not_kept_waiting():
    frames = [Frame(b"x", (said,)) for said in (TextDelta("\n"), ToolCallStarted(0, "i", "f"), ToolCallDelta(0, "{}"))]
    assert Splitter(opened=False, live=True).frames(frames) == frames


def test_choices_are_split_apart_from_one_another():
    said = (TextDelta("<think>a", 0), TextDelta("<thi", 1), TextDelta("</think>A", 0), TextDelta("nk>b</think>B", 1))
    frames = [Frame(b"x", (event,)) for event in (*said, Finished("stop", 0), Finished("stop", 1))]
    told = Splitter(opened=False, live=True).frames(frames)
    choices = fold(event for frame in told for event in frame.events).choices
    assert [(choice.reasoning, choice.text) for choice in choices] == [("a", "A"), ("b", "B")]


@given(texts, st.lists(st.integers(0, 60), max_size=8), st.booleans(), reasons)
@example("<think>so</think>Hi", [1, 3, 9, 10, 12], False, "stop")
def test_an_answer_is_split_the_same_wherever_it_is_cut(text, places, opened, reason):
    once = split(pieces(text, []), opened=opened, reason=reason)
    assert split(pieces(text, [place % (len(text) + 1) for place in places]), opened=opened, reason=reason) == once
    assert split(list(text), opened=opened, reason=reason) == once


@given(texts, reasons, st.booleans())
def test_the_answer_is_the_same_streamed_and_whole(text, reason, opened):
    streamed_answer = split(list(text), opened=opened, reason=reason)[1]
    assert split([text], opened=opened, live=False, reason=reason)[1] == streamed_answer


@given(texts, st.booleans())
def test_nothing_but_tags_and_white_space_is_lost(text, opened):
    def letters(said: str) -> int:
        return len("".join(said.split()))

    lost = letters(text) - letters("".join(split(list(text), opened=opened, live=False)))
    assert lost in {letters(tags) for tags in ("", "<think>", "</think>", "<think></think>")}


@pytest.mark.parametrize(
    "model",
    ["deepseek-r1:8b", "hf.co/unsloth/DeepSeek-R1-Distill-Llama-8B-GGUF:Q4", "Qwen/Qwen3-8B", "qwq", "glm-4.5-air",
     "bartowski_QwQ-32B", "phi4-mini-reasoning", "Phi-4-reasoning-plus", "MiniMax-M2", "smollm3"],
)  # fmt: skip
def test_models_known_for_their_tags_are_split(model):
    assert splitter(None, model, live=True) is not None
    assert splitter(False, model, live=True) is None


@pytest.mark.parametrize("model", ["llama3.2", "qwen2.5", "gpt-4o", "phi4", "deepseek-v3", "myqwq", "smollm2"])
def test_other_models_are_split_only_on_demand(model):
    assert splitter(None, model, live=True) is None
    assert splitter(True, model, live=True) is not None
