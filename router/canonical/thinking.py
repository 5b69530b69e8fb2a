"""`<think>` tags that a server left in the text of an answer: what is between them becomes reasoning."""

import re
from collections.abc import Sequence
from enum import Enum, auto

from router.canonical.events import Event, Finished, Frame, ReasoningDelta, TextDelta, ToolCallStarted

OPEN = "<think>"
CLOSE = "</think>"
MAX_LEAD = 256
"""White space before a tag; text that begins with more of it is looked at no longer."""

_BLANK = " \t\r\n"
_FAMILIES = re.compile(
    r"(?<![a-z0-9])(deepseek-r1|r1-1776|deepscaler|qwq|qwen3|smollm3|glm-4\.[56]|glm-z1|cogito|minimax-m\d"
    r"|phi-?4-(mini-)?reasoning)",
    re.IGNORECASE,
)
"""Models known to write the tags. Only a tag at the very beginning counts, so one that does not loses nothing."""


class _Place(Enum):
    """Where in an answer its text has come to."""

    START = auto()
    UNSURE = auto()
    INSIDE = auto()
    AFTER = auto()
    OUTSIDE = auto()


def splitter(option: bool | None, model: str, *, live: bool) -> "Splitter | None":
    """What splits the answers of a model, if they are to be split: as the settings say, else for known families.

    With the setting on, an answer may also begin inside, its template having opened the tag in the prompt.
    """
    if option is None:
        return Splitter(opened=False, live=live) if _FAMILIES.search(model) else None
    return Splitter(opened=True, live=live) if option else None


class Splitter:
    """Splits one answer. `live` is whether it is told while it comes.

    With `opened`, text before a lone closing tag is reasoning too. Told live, text that might be is called reasoning
    at once; if the answer then ends without the tag, it was the answer after all, and is told again as that.
    """

    def __init__(self, *, opened: bool, live: bool) -> None:
        self._opened = opened
        self._live = live
        self._voices: dict[int, _Voice] = {}
        self._frames: list[Frame] = []
        self._told: list[Event] = []
        self._has_split = False

    def events(self, events: Sequence[Event]) -> list[Event]:
        """The same events with reasoning apart."""
        told: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta):
                told += self._voice(event.choice).says(event.text)
                continue
            if isinstance(event, (ReasoningDelta, ToolCallStarted)):
                told += self._voice(event.choice).turns()
            elif isinstance(event, Finished):
                told += self._voice(event.choice).ends(event.reason)
            told.append(event)
        return told

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames of a stream: those that hold no reasoning as they came, once that is known."""
        ready: list[Frame] = []
        for frame in frames:
            self._told += self.events(frame.events)
            self._frames.append(frame)
            if not any(voice.is_undecided for voice in self._voices.values()):
                ready += self._released()
        return ready

    def has_changed(self) -> bool:
        """Whether anything was said otherwise than it came, since this was last asked."""
        changed = [voice for voice in self._voices.values() if voice.changed]
        for voice in changed:
            voice.changed = False
        self._has_split = self._has_split or bool(changed)
        return bool(changed)

    @property
    def is_transparent(self) -> bool:
        """Whether all that came has been told, and just as it came."""
        is_changed = self._has_split or any(voice.changed for voice in self._voices.values())
        return not is_changed and not self._frames

    def _released(self) -> list[Frame]:
        frames, told = self._frames, self._told
        self._frames, self._told = [], []
        if not self.has_changed():
            return frames
        own = list(frames[-1].events)
        before = len(told) - len(own)
        if own and told[before:] == own:
            return [*([Frame(b"", tuple(told[:before]))] if before else []), frames[-1]]
        return [Frame(b"", tuple(told))] if told else []

    def _voice(self, choice: int) -> "_Voice":
        voice = self._voices.get(choice)
        if voice is None:
            voice = self._voices[choice] = _Voice(choice, opened=self._opened, live=self._live)
        return voice


class _Voice:
    """The text of one choice. `changed` is whether some of it was not told as it came."""

    def __init__(self, choice: int, *, opened: bool, live: bool) -> None:
        self.changed = False
        self._choice = choice
        self._opened = opened
        self._live = live
        self._place = _Place.START
        self._held = ""
        self._unsure: list[str] = []
        self._has_reasoned = False

    @property
    def is_undecided(self) -> bool:
        """Whether what is held back may yet be told as it came."""
        return self._place is _Place.START and bool(self._held)

    def says(self, piece: str) -> list[Event]:
        """What becomes of a piece of text; the end of it may be held back."""
        text, self._held = self._held + piece, ""
        told: list[Event] = []
        if self._place is _Place.START:
            text = self._begin(text)
        if self._place in {_Place.INSIDE, _Place.UNSURE}:
            text = self._think(text, told)
        if self._place is _Place.AFTER:
            rest = text.lstrip(_BLANK)
            self.changed = self.changed or rest != text
            text = rest
        if text and self._place in {_Place.AFTER, _Place.OUTSIDE}:
            self._place = _Place.OUTSIDE
            told.append(TextDelta(text, self._choice))
        return told

    def turns(self) -> list[Event]:
        """Something that is no text comes before any: there is no tag to wait for."""
        if self._place is not _Place.START:
            return []
        self._place = _Place.OUTSIDE
        held, self._held = self._held, ""
        return [TextDelta(held, self._choice)] if held else []

    def ends(self, reason: str) -> list[Event]:
        """What is left at the end. An answer that was cut short may well have been cut inside."""
        told = self.turns()
        held, self._held = self._held, ""
        if self._place is _Place.INSIDE:
            self._reason(held, told)
        elif self._place is _Place.UNSURE and reason == "length":
            self._reason(held if self._live else "".join((*self._unsure, held)), told)
        elif self._place is _Place.UNSURE:
            told.append(TextDelta("".join((*self._unsure, held)), self._choice))
            self.changed = self.changed or self._live
        self._place = _Place.OUTSIDE
        return told

    def _begin(self, text: str) -> str:
        """Decides from the first letters; they are held back while they may still become a tag."""
        body = text.lstrip(_BLANK)
        may_be_tag = len(text) - len(body) <= MAX_LEAD
        if may_be_tag and body.startswith(OPEN):
            self._place, self.changed = _Place.INSIDE, True
            return body[len(OPEN) :]
        if may_be_tag and OPEN.startswith(body):
            self._held = text
            return ""
        self._place = _Place.UNSURE if self._opened else _Place.OUTSIDE
        return text

    def _think(self, text: str, told: list[Event]) -> str:
        """Tells reasoning up to the closing tag; what comes after it."""
        end = text.find(CLOSE)
        said = text[:end] if end >= 0 else text[: len(text) - _overlap(text)]
        rest = text[len(said) :]
        if self._place is _Place.UNSURE:
            self._unsure.append(said)
            if not self._live:
                said = "".join(self._unsure) if end >= 0 else ""
        self._reason(said, told)
        self.changed = self.changed or self._live or end >= 0
        if end < 0:
            self._held = rest
            return ""
        self._place = _Place.AFTER
        return rest[len(CLOSE) :]

    def _reason(self, text: str, told: list[Event]) -> None:
        if not self._has_reasoned:
            text = text.lstrip(_BLANK)
        if text:
            self._has_reasoned = self.changed = True
            told.append(ReasoningDelta(text, self._choice))


def _overlap(text: str) -> int:
    """How many letters at the end of a text may be the beginning of the closing tag."""
    return next((size for size in range(min(len(CLOSE) - 1, len(text)), 0, -1) if text.endswith(CLOSE[:size])), 0)
