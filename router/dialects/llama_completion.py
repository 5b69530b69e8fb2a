"""llama.cpp's own completions, `/completion` and `/infill`: what its OpenAI form leaves out."""

from collections.abc import Sequence
from time import time
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.completion import CompletionRequest
from router.canonical.events import (
    Ended,
    Event,
    Finished,
    Frame,
    LogprobsReported,
    Started,
    TextDelta,
    UsageReported,
)
from router.canonical.request import Profile
from router.dialects import sse
from router.dialects.alias_options import CLAUDE_OPTIONS, OLLAMA_OPTIONS, RUNNER_OPTIONS, client_options
from router.dialects.failures import UNREADABLE, read_raw
from router.dialects.undecoded import ABSENT, check_text, given
from router.dialects.unstreamed import EventReader
from router.errors import BackendFailed, UnsupportedValue

NAME = "llama_cpp"

LIMITS = frozenset({"max_tokens", "max_completion_tokens", "n_predict"})
_OWN = OLLAMA_OPTIONS | CLAUDE_OPTIONS | LIMITS
_FOREIGN = _OWN | {
    "model", "prompt", "suffix", "n", "stream", "stream_options", "logprobs", "echo", "best_of", "user", "metadata",
    "response_fields", "store", "service_tier",
}  # fmt: skip
"""Fields of a client that have another name here, or that would make the answer unreadable."""
_SAMPLED = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")


class _Timings(Struct):
    cache_n: int | None = None


class _Piece(Struct):
    content: str | None = None
    stop: bool = False
    stop_type: str = ""
    tokens_predicted: int | None = None
    tokens_evaluated: int | None = None
    timings: _Timings | None = None
    completion_probabilities: Raw = ABSENT
    error: Raw = ABSENT


_DECODER = msgspec.json.Decoder(_Piece)


def render_request(request: CompletionRequest, model: str, profile: Profile) -> bytes:
    """The body of `/infill` for a request with a suffix, else of `/completion`, for its only prompt.

    The client's own fields beside OpenAI's are passed on: the server knows most, and ignores the others. Raises
    UnsupportedValue for a gap between token ids.
    """
    fields: dict[str, Any] = {key: raw for key, raw in request.wire.fields.items() if key not in _FOREIGN}
    if request.extras:
        asked = client_options(request.extras)
        skipped = RUNNER_OPTIONS | LIMITS | {"num_predict"}
        fields.update((key, value) for key, value in asked.items() if key not in skipped and value is not None)
    for key, value in profile.options.items():
        if key not in _OWN and given(fields.get(key, ABSENT)) is None:
            fields[key] = value
    sampling = request.sampling
    fields.update((key, getattr(sampling, key)) for key in _SAMPLED if getattr(sampling, key) is not None)
    if sampling.stop:
        fields["stop"] = sampling.stop
    if (limit := _limit(request, profile)) is not None:
        fields["n_predict"] = limit
    if request.logprobs:
        fields["n_probs"] = max(1, request.top_logprobs or 0)
    fields.update({"model": model, "stream": request.stream})
    fields.update(_asked(request))
    return msgspec.json.encode(fields)


def _asked(request: CompletionRequest) -> dict[str, Any]:
    (prompt,) = request.prompts
    if not request.suffix:
        return {"prompt": prompt}
    if not isinstance(prompt, str):
        raise UnsupportedValue("a gap in a text is between texts, not token ids", param="prompt")
    return {"input_prefix": prompt, "input_suffix": request.suffix}


def _limit(request: CompletionRequest, profile: Profile) -> int | None:
    """The client's limit within the alias's; without one of the client's, the alias's default or its cap."""
    asked = request.sampling.max_tokens
    if asked is None or asked < 0:
        told = next((profile.options[key] for key in LIMITS if key in profile.options), None)
        asked = told if isinstance(told, int) and told >= 0 else None
    if asked is None or profile.max_tokens is None:
        return profile.max_tokens if asked is None else asked
    return min(asked, profile.max_tokens)


class StreamDecoder(EventReader):
    """Reads one streamed answer; the last piece says `stop`."""

    def _whole(self, body: bytes) -> Frame:
        return decode_whole(body, self._shown)

    def _frames(self, events: Sequence[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for event in events:
            if self.failure or self._ended:
                break
            text = sse.payload(event)
            if text is None:
                continue
            try:
                check_text(text)
                piece = _DECODER.decode(text)
            except UNREADABLE:
                self._break_off("the backend sent a piece that cannot be read")
                break
            if given(piece.error):
                self._break_off(read_raw(piece.error))
                break
            frames.append(Frame(b"", self._events(piece)))
            self._ended = piece.stop
        return frames

    def _events(self, piece: _Piece) -> tuple[Event, ...]:
        opening = () if self._started else (Started("", self._shown, int(time())),)
        self._started = True
        return (*opening, *_said(piece))


def decode_whole(body: bytes, shown: str) -> Frame:
    """A whole answer; raises BackendFailed for anything else."""
    try:
        check_text(body)
        piece = _DECODER.decode(body)
    except UNREADABLE:
        raise BackendFailed("the backend's answer cannot be read") from None
    if given(piece.error):
        raise BackendFailed(read_raw(piece.error))
    if not piece.stop:
        raise BackendFailed("the backend gave up in the middle of the answer")
    return Frame(b"", (Started("", shown, int(time())), *_said(piece)))


def _said(piece: _Piece) -> tuple[Event, ...]:
    events: list[Event] = [TextDelta(piece.content)] if piece.content else []
    if (content := given(piece.completion_probabilities)) is not None:
        events.append(LogprobsReported(content))
    if piece.stop:
        events.append(Finished("length" if piece.stop_type == "limit" else "stop"))
        if piece.tokens_evaluated is not None or piece.tokens_predicted is not None:
            cached = piece.timings.cache_n if piece.timings else None
            events.append(UsageReported(piece.tokens_evaluated, piece.tokens_predicted, cached))
        events.append(Ended())
    return tuple(events)
