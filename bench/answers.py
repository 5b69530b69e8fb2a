"""The fake backend's chat answers, built once: OpenAI JSON and SSE, Ollama JSON and NDJSON."""

from functools import cache

import msgspec

MARK = b" tok-"  # begins the text of every content frame, in all formats; the client counts it
FRAME_BYTES = 200
ANSWER_BYTES = 1200
MODEL = "bench"
SSE = b"text/event-stream; charset=utf-8"
PROMPT_TOKENS = 71
CREATED = 1763712000
CREATED_AT = "2025-11-21T08:00:00.123456789Z"
DIGEST = "0123456789abcdef" * 4
DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "7.6B",
    "quantization_level": "Q4_K_M",
}
encode = msgspec.json.encode


def response(body: bytes, *, status: bytes = b"200 OK") -> bytes:
    """Wrap a JSON body into a whole HTTP answer."""
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _chunked(frames: list[bytes]) -> list[bytes]:
    return [b"%x\r\n%s\r\n" % (len(frame), frame) for frame in frames]


def _stream_head(content_type: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n" % content_type


def text(index: int, padding: int) -> str:
    """The text of one content frame."""
    return f"{MARK.decode()}{index:04d} ".ljust(len(MARK) + 4 + max(0, padding), "x")


def _usage(completion_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _chunk(choices: list[object], **extra: object) -> bytes:
    chunk = {
        "id": "chatcmpl-BenchBenchBenchBenchBench12",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": MODEL,
        "choices": choices,
        **extra,
    }
    return b"data: " + encode(chunk) + b"\n\n"


@cache
def stalled_stream(frames: int) -> bytes:
    """The beginning of an SSE stream: a role without content, then `frames` content frames, and nothing more."""
    content = [_content_chunk(index, 1) for index in range(frames)]
    return _stream_head(SSE) + b"".join(_chunked([ROLE_ONLY, *content]))


def _content_chunk(index: int, padding: int) -> bytes:
    role = {"role": "assistant"} if index == 0 else {}
    delta = {**role, "content": text(index, padding)}
    return _chunk([{"index": 0, "delta": delta, "finish_reason": None}])


@cache
def openai_stream(frames: int, *, usage: bool) -> tuple[bytes, ...]:
    """The writes of one SSE stream: head and first frame, each further frame, the ending."""
    padding = FRAME_BYTES - len(_content_chunk(1, 0))
    content = [_content_chunk(index, padding) for index in range(frames)]
    ending = [_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])]
    if usage:
        ending.append(_chunk([], usage=_usage(frames)))
    ending.append(b"data: [DONE]\n\n")
    return writes(SSE, content, ending)


def writes(content_type: bytes, content: list[bytes], ending: list[bytes]) -> tuple[bytes, ...]:
    """One write for the head and the first frame, one for each further frame, one for the ending."""
    first, *more = _chunked(content)
    last = b"".join(_chunked(ending)) + b"0\r\n\r\n"
    return (_stream_head(content_type) + first, *more, last)


def _line(content: str, **extra: object) -> bytes:
    message = {"role": "assistant", "content": content}
    line = {"model": MODEL, "created_at": CREATED_AT, "message": message, "done": False, **extra}
    return encode(line) + b"\n"


def _counts(frames: int) -> dict[str, object]:
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 2_200_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": PROMPT_TOKENS,
        "prompt_eval_duration": 90_000_000,
        "eval_count": frames,
        "eval_duration": 2_000_000_000,
    }


@cache
def ollama_stream(frames: int) -> tuple[bytes, ...]:
    """The writes of one NDJSON stream, as `openai_stream`."""
    padding = FRAME_BYTES - len(_line(text(1, 0)))
    content = [_line(text(index, padding)) for index in range(frames)]
    return writes(b"application/x-ndjson", content, [_line("", **_counts(frames))])


def _openai_answer() -> bytes:
    def answer(content: str) -> bytes:
        message = {"role": "assistant", "content": content, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        whole = {
            "id": "chatcmpl-BenchBenchBenchBenchBench12",
            "object": "chat.completion",
            "created": CREATED,
            "model": MODEL,
            "choices": [choice],
            "usage": _usage(200),
        }
        return encode(whole)

    return response(answer(prose(ANSWER_BYTES - len(answer("")))))


def _ollama_answer() -> bytes:
    return response(_line(prose(ANSWER_BYTES - len(_line("", **_counts(200)))), **_counts(200)))


def prose(length: int) -> str:
    """The text of an answer that is no stream."""
    return ("The quick brown fox jumps over the lazy dog; it does so again. " * 40)[:length]


OPENAI_ANSWER = _openai_answer()
OLLAMA_ANSWER = _ollama_answer()
OPENAI_MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": CREATED, "owned_by": "bench"}]}
OLLAMA_MODEL = {
    "name": f"{MODEL}:latest",
    "model": f"{MODEL}:latest",
    "modified_at": CREATED_AT,
    "size": 4_700_000_000,
    "digest": DIGEST,
    "details": DETAILS,
    "capabilities": ["completion", "tools", "embedding"],
}
OLLAMA_LOADED = {
    **OLLAMA_MODEL,
    "size_vram": 4_700_000_000,
    "expires_at": "2318-01-01T00:00:00Z",
    "context_length": 32768,
}
OLLAMA_SHOW = {
    "details": DETAILS,
    "model_info": {"general.architecture": "llama", "llama.context_length": 32768, "llama.embedding_length": 4096},
    "capabilities": ["completion", "tools", "embedding"],
    "template": "{{ .Prompt }}",
    "parameters": "num_ctx                        32768",
    "modified_at": CREATED_AT,
}
FIXED = {
    "GET /v1/models": response(encode(OPENAI_MODELS)),
    "GET /api/version": response(b'{"version":"0.33.0"}'),
    "GET /api/tags": response(encode({"models": [OLLAMA_MODEL]})),
    "GET /api/ps": response(encode({"models": [OLLAMA_LOADED]})),
    "POST /api/show": response(encode(OLLAMA_SHOW)),
    "GET /health": response(b'{"status":"ok"}'),
    "GET /health/ready": response(b'{"status":"ok"}'),
    "GET /": response(b'"Ollama is running"'),
}
NOT_FOUND = response(b'{"error":"not found"}', status=b"404 Not Found")
BAD_REQUEST = response(b'{"error":"bad request"}', status=b"400 Bad Request")
FAILED = response(b'{"error":{"message":"out of memory","type":"server_error"}}', status=b"500 Internal Server Error")
ROLE_ONLY = _chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
