"""The ways a backend can fail, as data, and what each does to an answer."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.fakes.answer import Answer, Finale, to_json

Health = Literal["ok", "fail", "hang", "loading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Combinable. Frames are NDJSON lines or SSE events and count from 0, end markers included.

    `*_after=n` lets n frames pass; `*_at=n` hits frame n. The README has the table.
    """

    status: int | None = None
    body: bytes | str | Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_before_headers: bool = False
    first_byte_delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    stall_after: int | None = None
    drop_after: int | None = None
    end_after: int | None = None
    bad_json_at: int | None = None
    error_at: int | None = None
    missing_end: bool = False
    ignore_stream: bool = False
    health: Health = "ok"
    times: int | None = None
    flaky: float = 1.0

    def __post_init__(self) -> None:
        if self.health not in ("ok", "fail", "hang", "loading"):
            raise ValueError(f"health must be ok, fail, hang or loading, not {self.health!r}")
        if not 0.0 <= self.flaky <= 1.0:
            raise ValueError(f"flaky is a share between 0 and 1, not {self.flaky!r}")


NO_FAULTS = Faults()


class FaultDial:
    """Hands each request its faults; counts `times` and rolls `flaky`."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.turn(NO_FAULTS)

    @property
    def faults(self) -> Faults:
        return self._faults

    def turn(self, faults: Faults) -> None:
        self._faults = faults
        self._left = faults.times
        self._rng = random.Random(self._seed)

    def draw(self) -> Faults:
        if self._left == 0 or self._rng.random() >= self._faults.flaky:
            return NO_FAULTS
        if self._left is not None:
            self._left -= 1
        return self._faults


def distort(answer: Answer, faults: Faults, *, mid_stream_error: bytes, refuse: Callable[[int], Answer]) -> Answer:
    """`refuse` makes the format's error answer, used where an error cannot come mid-stream."""
    if faults.status is not None:
        return _refused(faults, refuse)
    if not answer.streamed:
        return _distort_whole(answer, faults, refuse=refuse)
    frames = list(answer.frames)
    if faults.missing_end:
        frames = frames[: len(frames) - answer.ending]
    if faults.bad_json_at is not None and faults.bad_json_at < len(frames):
        frames[faults.bad_json_at] = _broken(frames[faults.bad_json_at])
    if faults.error_at is not None:
        frames = [*frames[: faults.error_at], mid_stream_error]
    limit, finale = _cut(faults, len(frames))
    return replace(answer, frames=frames[:limit], finale=finale)


def _refused(faults: Faults, refuse: Callable[[int], Answer]) -> Answer:
    assert faults.status is not None
    answer = refuse(faults.status)
    answer = replace(answer, headers={**answer.headers, **faults.headers})
    if faults.body is None:
        return answer
    if isinstance(faults.body, Mapping):
        return replace(answer, frames=(to_json(faults.body).encode(),))
    raw = faults.body.encode() if isinstance(faults.body, str) else faults.body
    return replace(answer, frames=(raw,))


def _distort_whole(answer: Answer, faults: Faults, *, refuse: Callable[[int], Answer]) -> Answer:
    """One body is no stream: a cut after one frame or more leaves half of it."""
    if faults.error_at is not None:
        return refuse(500)
    body = b"".join(answer.frames)
    if faults.bad_json_at is not None:
        body = _broken(body)
    limit, finale = _cut(faults, None)
    if limit is None:
        return replace(answer, frames=(body,))
    half = body[: len(body) // 2] if limit else b""
    headers = {**answer.headers, "Content-Length": str(len(body))}
    return replace(answer, frames=(half,) if half else (), finale=finale, headers=headers)


def _cut(faults: Faults, frames: int | None) -> tuple[int | None, Finale]:
    """The earliest cut that the stream lives to see; `frames` None means any cut counts."""
    cuts = [
        (faults.drop_after, Finale.RESET),
        (faults.stall_after, Finale.STALL),
        (faults.end_after, Finale.END),
    ]
    seen = [(n, finale) for n, finale in cuts if n is not None and (frames is None or n <= frames)]
    return min(seen, key=lambda cut: cut[0], default=(None, Finale.END))


def _broken(frame: bytes) -> bytes:
    content = frame.rstrip(b"\n")
    return content[: len(content) // 2] + frame[len(content) :]
