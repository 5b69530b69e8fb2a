"""Events to one whole answer."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from router.canonical.events import (
    Echoed,
    Event,
    Finished,
    LogprobsReported,
    ReasoningDelta,
    ReasoningSigned,
    Refused,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.request import ToolCall


class Choice(Struct, frozen=True):
    """One alternative of a whole answer; `logprobs` is a JSON list in OpenAI's shape.

    `reasoning_blocks` are signed, as in `ReasoningSigned`. With a `refusal` there is neither text nor a tool call.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    logprobs: msgspec.Raw | None = None
    reasoning_blocks: tuple[msgspec.Raw, ...] = ()
    refusal: str | None = None


class Completed(Struct, frozen=True):
    """A whole answer; `created` is seconds since 1970."""

    id: str = ""
    model: str = ""
    created: int = 0
    choices: tuple[Choice, ...] = ()
    usage: UsageReported | None = None


class _OpenCall:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class _OpenChoice:
    def __init__(self, index: int) -> None:
        self.index = index
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, _OpenCall] = {}
        self.logprobs: list[msgspec.Raw] = []
        self.reasoning_blocks: list[msgspec.Raw] = []
        self.refusal: str | None = None
        self.finish_reason: str | None = None

    def call(self, index: int) -> _OpenCall:
        return self.calls.setdefault(index, _OpenCall())

    def closed(self) -> Choice:
        return Choice(
            index=self.index,
            text="" if self.refusal is not None else "".join(self.text),
            reasoning="".join(self.reasoning),
            tool_calls=() if self.refusal is not None else self._calls(),
            finish_reason=self.finish_reason,
            logprobs=_joined(self.logprobs),
            reasoning_blocks=tuple(self.reasoning_blocks),
            refusal=self.refusal,
        )

    def _calls(self) -> tuple[ToolCall, ...]:
        return tuple(
            ToolCall(call.id, call.name, "".join(call.arguments) or "{}") for _, call in sorted(self.calls.items())
        )


def fold(events: Iterable[Event]) -> Completed:
    """The whole answer that the events add up to; a call without arguments gets `{}`."""
    started = Started()
    usage: UsageReported | None = None
    choices: dict[int, _OpenChoice] = {}
    for event in events:
        match event:
            case Started():
                started = started if started.id else event
            case UsageReported():
                usage = event if usage is None else usage.merged(event)
            case _:
                _absorb(choices, event)
    return Completed(
        id=started.id,
        model=started.model,
        created=started.created,
        choices=tuple(choice.closed() for _, choice in sorted(choices.items())),
        usage=usage,
    )


def _absorb(choices: dict[int, _OpenChoice], event: Event) -> None:
    index = getattr(event, "choice", None)
    if index is None:
        return
    choice = choices.get(index) or choices.setdefault(index, _OpenChoice(index))
    match event:
        case TextDelta() | Echoed():
            choice.text.append(event.text)
        case ReasoningDelta():
            choice.reasoning.append(event.text)
        case ToolCallStarted():
            call = choice.call(event.index)
            call.id, call.name = event.id, event.name
        case ToolCallDelta():
            choice.call(event.index).arguments.append(event.arguments)
        case ReasoningSigned():
            choice.reasoning_blocks.append(event.block)
        case Refused():
            choice.refusal = (choice.refusal or "") + event.text
        case LogprobsReported():
            choice.logprobs.append(event.content)
        case Finished():
            choice.finish_reason = event.reason
        case _:
            pass


def _joined(lists: list[msgspec.Raw]) -> msgspec.Raw | None:
    if len(lists) <= 1:
        return lists[0] if lists else None
    decoder = msgspec.json.Decoder(list[msgspec.Raw])
    return msgspec.Raw(msgspec.json.encode([item for raw in lists for item in decoder.decode(raw)]))
