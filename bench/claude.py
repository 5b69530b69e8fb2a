"""The fake backend's answers in Anthropic's format, built once: JSON, SSE and the list of models."""

from functools import cache

from bench.answers import ANSWER_BYTES, FRAME_BYTES, MODEL, PROMPT_TOKENS, SSE, encode, prose, response, text, writes

COMPLETION_TOKENS = 200


def _message(content: list[object], *, stop_reason: str | None, output_tokens: int) -> dict[str, object]:
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
    return {
        "id": "msg_01BenchBenchBenchBenchBe",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _answer() -> bytes:
    def body(said: str) -> bytes:
        content = [{"type": "text", "text": said}]
        return encode(_message([*content], stop_reason="end_turn", output_tokens=COMPLETION_TOKENS))

    return response(body(prose(ANSWER_BYTES - len(body("")))))


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: ".encode() + encode({"type": kind, **fields}) + b"\n\n"


def _delta(index: int, padding: int) -> bytes:
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text(index, padding)})


@cache
def stream(frames: int) -> tuple[bytes, ...]:
    """The writes of one stream, as `answers.openai_stream`."""
    padding = FRAME_BYTES - len(_delta(1, 0))
    content = [_delta(index, padding) for index in range(frames)]
    content[0] = (
        _event("message_start", message=_message([], stop_reason=None, output_tokens=1))
        + _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        + _event("ping")
        + content[0]
    )
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    ending = [
        _event("content_block_stop", index=0),
        _event("message_delta", delta=stop, usage={"output_tokens": frames}),
        _event("message_stop"),
    ]
    return writes(SSE, content, ending)


_MODEL = {
    "type": "model",
    "id": MODEL,
    "display_name": "Bench",
    "created_at": "2026-01-01T00:00:00Z",
    "lifecycle": "active",
    "max_input_tokens": 200_000,
    "max_tokens": 64_000,
    "capabilities": None,
}
ANSWER = _answer()
MODELS = response(encode({"data": [_MODEL], "first_id": MODEL, "last_id": MODEL, "has_more": False}))
