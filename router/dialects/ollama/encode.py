"""Answers for Ollama's clients: events to lines of JSON."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from time import monotonic_ns
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from router.canonical.adapter import Vectors
from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    ReasoningDelta,
    Refused,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageReported,
)
from router.canonical.fold import Choice, Completed
from router.dialects.failures import UNREADABLE
from router.dialects.model_name import with_fields
from router.dialects.ollama.names import GENERATE, NAME
from router.dialects.undecoded import check_object
from router.errors import BackendFailed, RouterError

_encode = msgspec.json.Encoder().encode
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_BREAKS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
"""What some clients take for the end of a line, though JSON does not."""


class Encoder:
    """Writes the answer of one `/api/chat`, streamed or whole; `model` is what the client is told.

    `clock` counts nanoseconds. Times that no backend told are the router's own.
    """

    dialect: ClassVar[str] = NAME
    content_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, *, model: str, clock: Callable[[], int] = monotonic_ns) -> None:
        self._model = model
        self._clock = clock
        self._began = clock()
        self._first: int | None = None
        self._reason = "stop"
        self._usage: UsageReported | None = None
        self._calls: dict[int, _OpenCall] = {}

    @property
    def wants_usage(self) -> bool:
        """Whether a stream has to tell what it cost: its last line does."""
        return True

    def forward(self, frame: Frame) -> bytes:
        """A line of an Ollama server; what it did not count is added to the last one."""
        if not frame.raw:
            return self.encode(frame.events)
        is_last = bool(frame.events) and type(frame.events[-1]) is Ended
        raw = frame.raw if self._usage is None or not is_last else with_fields(frame.raw, _counts(self._usage)) + b"\n"
        return unbroken(raw)

    def encode(self, events: Sequence[Event]) -> bytes:
        """The lines that tell these events; a tool call is told once it is whole."""
        out: list[bytes] = []
        for event in events:
            self._tell(event, out)
        return unbroken(b"".join(out))

    def _tell(self, event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta() | Refused():
                self._say(out, text=event.text)
            case ReasoningDelta():
                self._say(out, thinking=event.text)
            case LogprobsReported():
                self._say(out, logprobs=event.content)
            case ToolCallStarted():
                self._tell_whole_calls(out)
                self._calls[event.index] = _OpenCall(event.index, event.id, event.name)
            case ToolCallDelta():
                if (call := self._calls.get(event.index)) is not None:
                    call.arguments.append(event.arguments)
            case UsageReported():
                self._usage = event if self._usage is None else self._usage.merged(event)
            case Finished():
                self._tell_calls(out, list(self._calls))
                self._reason = reason_of(event.reason)
            case Ended():
                out.append(_encode(self._last(self.said())) + b"\n")
            case _:
                pass

    def error(self, error: RouterError) -> bytes:
        """The failure as a line; nothing follows it."""
        return render_error(error) + b"\n"

    def whole(self, completed: Completed) -> bytes:
        """One object, whose times are those of the whole request. Raises BackendFailed for a call that is no JSON."""
        choice = completed.choices[0] if completed.choices else Choice()
        self._usage, self._reason = completed.usage, reason_of(choice.finish_reason or "stop")
        body = self._last(self._of_choice(choice))
        if choice.logprobs is not None:
            body["logprobs"] = choice.logprobs
        return unbroken(_encode(body))

    def amended(
        self, raw: bytes, *, choices: Sequence[Choice] | None = None, usage: UsageReported | None = None
    ) -> bytes:
        """A backend's own body with another text or other counts; what else it says stays."""
        changes: dict[str, Any] = self._of_choice(choices[0]) if choices else {}
        return unbroken(with_fields(raw, {**changes, **(_counts(usage) if usage is not None else {})}))

    def said(self, text: str = "", thinking: str = "", calls: Sequence[Any] = ()) -> dict[str, Any]:
        """The part of a line that differs between the two ways to ask."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = calls
        return {"message": message}

    def _of_choice(self, choice: Choice) -> dict[str, Any]:
        calls = [_call(at, call.id, call.name, arguments=call.arguments) for at, call in enumerate(choice.tool_calls)]
        return self.said(choice.text if choice.refusal is None else choice.refusal, choice.reasoning, calls)

    def _say(
        self,
        out: list[bytes],
        *,
        text: str = "",
        thinking: str = "",
        calls: Sequence[Any] = (),
        logprobs: Raw | None = None,
    ) -> None:
        if self._first is None:
            self._first = self._clock()
        line = {**self.head(), **self.said(text, thinking, calls), "done": False}
        if logprobs is not None:
            line["logprobs"] = _on_one_line(logprobs)
        out.append(_encode(line) + b"\n")

    def _tell_whole_calls(self, out: list[bytes]) -> None:
        """In the order in which they began, as far as each is whole: several may come by turns."""
        self._tell_calls(out, list(takewhile(lambda index: self._calls[index].is_whole, self._calls)))

    def _tell_calls(self, out: list[bytes], indices: list[int]) -> None:
        for index in indices:
            call = self._calls.pop(index)
            self._say(out, calls=[_call(call.index, call.id, call.name, arguments="".join(call.arguments))])

    def head(self) -> dict[str, Any]:
        """What every line begins with."""
        return {"model": self._model, "created_at": timestamp(datetime.now(UTC))}

    def _last(self, said: dict[str, Any]) -> dict[str, Any]:
        now = self._clock()
        first = self._began if self._first is None else self._first
        return {
            **self.head(),
            **said,
            "done": True,
            "done_reason": self._reason,
            "total_duration": max(1, now - self._began),
            "load_duration": 0,
            "prompt_eval_duration": max(1, first - self._began),
            "eval_duration": max(1, now - first),
            **_counts(self._usage or UsageReported(0, 0)),
        }


class GenerateEncoder(Encoder):
    """Writes the answer of one `/api/generate`, which has no place for tool calls."""

    dialect: ClassVar[str] = GENERATE

    def said(self, text: str = "", thinking: str = "", calls: Sequence[Any] = ()) -> dict[str, Any]:  # noqa: ARG002
        return {"response": text, **({"thinking": thinking} if thinking else {})}


class _OpenCall:
    def __init__(self, index: int, call_id: str, name: str) -> None:
        self.index = index
        self.id = call_id
        self.name = name
        self.arguments: list[str] = []

    @property
    def is_whole(self) -> bool:
        """Whether nothing but white space can follow."""
        try:
            check_object("".join(self.arguments).encode())
        except UNREADABLE:
            return False
        return True


def render_error(error: RouterError) -> bytes:
    """An error body in Ollama's shape."""
    return unbroken(_encode({"error": error.message}))


def render_kept(encoder: Encoder, *, unloads: bool) -> bytes:
    """The answer to a request that asks nothing."""
    return _encode({**encoder.head(), **encoder.said(), "done": True, "done_reason": "unload" if unloads else "load"})


def render_embeddings(vectors: Vectors, *, model: str, took_ns: int) -> bytes:
    """The body of an answer of `/api/embed`."""
    prompt = vectors.usage.prompt if vectors.usage else None
    body = {"model": model, "embeddings": vectors.vectors, "total_duration": max(1, took_ns), "load_duration": 0}
    return _encode({**body, **({"prompt_eval_count": prompt} if prompt else {})})


def render_embedding(vectors: Vectors) -> bytes:
    """The body of an answer of `/api/embeddings`, which has one vector."""
    return _encode({"embedding": vectors.vectors[0] if vectors.vectors else []})


def reason_of(reason: str) -> str:
    """A finish reason in Ollama's words, which knows two."""
    return "length" if reason == "length" else "stop"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.isoformat().replace("+00:00", "Z")


def unbroken(text: bytes) -> bytes:
    """The same JSON for clients that cut lines where Python's `splitlines` does."""
    if not text.isascii():
        for mark, escaped in _BREAKS:
            text = text.replace(mark, escaped)
    return text


def _counts(usage: UsageReported) -> dict[str, Any]:
    counts = {"prompt_eval_count": usage.prompt, "eval_count": usage.completion}
    if usage.cached is not None:
        counts["prompt_eval_cached_count"] = usage.cached
    return {name: count for name, count in counts.items() if count is not None}


def _on_one_line(text: bytes | Raw) -> Raw:
    """Valid JSON without the breaks that it may have between its values."""
    return Raw(msgspec.json.format(bytes(text), indent=-1))


def _call(index: int, call_id: str, name: str, *, arguments: str) -> dict[str, Any]:
    """A call with its arguments as an object; raises BackendFailed for one whose arguments are none."""
    text = arguments.strip().encode() or b"{}"
    try:
        _OBJECT.decode(text)
        msgspec.json.decode(text)
    except UNREADABLE:
        raise BackendFailed(f"the model wrote arguments for '{name}' that are not a JSON object") from None
    body: dict[str, Any] = {"function": {"index": index, "name": name, "arguments": _on_one_line(text)}}
    return {"id": call_id, **body} if call_id else body
