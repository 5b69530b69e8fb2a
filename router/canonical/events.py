"""What an answer says, piece by piece, in no wire format."""

from msgspec import Raw, Struct


class Event(Struct, frozen=True, gc=False):
    """A piece of an answer; `choice` numbers the alternatives when more than one was asked for."""


class Started(Event, frozen=True, gc=False):
    """The answer has begun; `created` is seconds since 1970."""

    id: str = ""
    model: str = ""
    created: int = 0


class TextDelta(Event, frozen=True, gc=False):
    text: str
    choice: int = 0


class Echoed(Event, frozen=True, gc=False):
    """The prompt, told once more before the answer to it: no backend said it."""

    text: str
    choice: int = 0


class ReasoningDelta(Event, frozen=True, gc=False):
    text: str
    choice: int = 0


class ToolCallStarted(Event, frozen=True, gc=False):
    """`index` numbers the calls of one choice from 0."""

    index: int
    id: str
    name: str
    choice: int = 0


class ToolCallDelta(Event, frozen=True, gc=False):
    """A further piece of the JSON text of the arguments."""

    index: int
    arguments: str
    choice: int = 0


class ReasoningSigned(Event, frozen=True):
    """A piece of the reasoning is whole, with the proof of where it came from.

    `block` is a JSON object in Anthropic's shape; later turns repeat it exactly, or not at all.
    """

    block: Raw
    choice: int = 0


class Refused(Event, frozen=True, gc=False):
    """The model declined to answer, and says why; what it said before does not count."""

    text: str
    choice: int = 0


class LogprobsReported(Event, frozen=True):
    """Token log probabilities: a JSON list in OpenAI's shape."""

    content: Raw
    choice: int = 0


class UsageReported(Event, frozen=True, gc=False):
    """Token counts so far; None is not counted.

    `cached` (read from a cache) and `cache_written` are parts of `prompt`, `reasoning` is one of `completion`.
    `estimated` is whether any of them was not counted by the backend.
    """

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    cache_written: int | None = None
    estimated: bool = False

    def merged(self, newer: "UsageReported") -> "UsageReported":
        """Both reports as one, field by field, the newer count winning where there are two."""
        return UsageReported(
            self.prompt if newer.prompt is None else newer.prompt,
            self.completion if newer.completion is None else newer.completion,
            self.cached if newer.cached is None else newer.cached,
            self.reasoning if newer.reasoning is None else newer.reasoning,
            self.cache_written if newer.cache_written is None else newer.cache_written,
            estimated=self.estimated or newer.estimated,
        )

    def added(self, other: "UsageReported") -> "UsageReported":
        """The sum of two reports about different choices."""
        return UsageReported(
            _sum(self.prompt, other.prompt),
            _sum(self.completion, other.completion),
            _sum(self.cached, other.cached),
            _sum(self.reasoning, other.reasoning),
            _sum(self.cache_written, other.cache_written),
            estimated=self.estimated or other.estimated,
        )


class Finished(Event, frozen=True, gc=False):
    """A choice is whole; `reason` is stop, length, tool_calls, or content_filter."""

    reason: str
    choice: int = 0


class Ended(Event, frozen=True, gc=False):
    """The backend's positive end marker: the answer is whole."""


class Frame(Struct, frozen=True):
    """One record of an answer: what was said (`raw`, empty if it cannot be forwarded) and what it means.

    `unread` is whether it says something that nobody knows: its fields have types of their own.
    """

    raw: bytes
    events: tuple[Event, ...]
    unread: bool = False

    @property
    def has_content(self) -> bool:
        """Whether a client would see something of it, so that going to another backend is too late."""
        return any(isinstance(event, CONTENT_EVENTS) for event in self.events)


CONTENT_EVENTS = (TextDelta, ReasoningDelta, ReasoningSigned, ToolCallStarted, ToolCallDelta, Refused, Finished, Ended)


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return left if right is None else right
    return left + right
