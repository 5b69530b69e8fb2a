"""What a backend's error answer means, in any of the shapes that backends use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import cast

import msgspec
from msgspec import Raw

from router.errors import (
    BackendBusy,
    BackendFailed,
    BackendLoading,
    BackendRefusedKey,
    BackendTimeout,
    ContextLengthExceeded,
    EndpointMissing,
    ModelMissing,
    RateLimited,
    RejectedByBackend,
    RouterError,
    UnsupportedOperation,
    UnsupportedParameter,
)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are not the JSON one hoped for can raise."""

MAX_MESSAGE_CHARS = 400
MAX_RETRY_AFTER_S = 3600.0
BUSY_RETRY_AFTER_S = 5.0

_CONTEXT = re.compile(
    r"exceeds? the (available )?context|exceed_context_size|context_length_exceeded|maximum context length"
    r"|prompt is (too long|longer than the context)|input exceeds maximum context",
    re.IGNORECASE,
)
_NO_SUCH_MODEL = re.compile(r"model_not_found|\bmodel\b.*(not found|not exist|no such)|no such model", re.IGNORECASE)
_NO_EMBEDDINGS = re.compile(r"does not support embeddings", re.IGNORECASE)
_INCAPABLE = re.compile(
    r"does not support (?P<ability>tools|thinking|chat|generate|insert)\b|(image|audio|video) input is not supported",
    re.IGNORECASE,
)
_LOADING = re.compile(r"\bloading (the )?model\b|\bmodel is (still )?(being loaded|loading)\b", re.IGNORECASE)
_ABOUT = {"tools": "tools", "thinking": "reasoning_effort", "chat": "model", "generate": "model", "insert": "suffix"}
_NO_INFILL = re.compile(r"^infill is not supported", re.IGNORECASE)
_NO_RERANK = re.compile(r"does not support reranking", re.IGNORECASE)
_CLIENT_MISTAKE = re.compile(
    r"Missing 'role'|'messages' is required|Unknown reasoning format"
    r"|is too large to process|--jinja|^invalid format:|^option \"[^\"]*\" must be|unsupported content",
    re.IGNORECASE,
)
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SECRETS = (
    (re.compile(r"(?i)\bbearer\s+\S+|\bsk-[A-Za-z0-9_-]{6,}"), "[redacted]"),
    (re.compile(r"\bhttps?://[^\s\"')]+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]+\]:\d+"), "[address]"),
    (re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*|\b[A-Za-z]:\\[^\s\"']+"), "[path]"),
)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """A non-2xx answer of a backend; `retry_after` is in seconds, `is_json` tells it from a proxy's text."""

    status: int
    message: str
    code: str = ""
    kind: str = ""
    retry_after: float | None = None
    is_json: bool = True
    request_id: str = ""


def read(status: int, headers: Mapping[str, str], body: bytes) -> ErrorAnswer:
    """Reads `{"error": {...}}`, `{"error": "text"}`, an error that is JSON in a string, or plain text."""
    retry_after, own_id = retry_after_s(headers.get("Retry-After")), request_id(headers)
    try:
        error: object = msgspec.json.decode(body)
    except UNREADABLE:
        said = clean(body.decode("utf-8", "replace"))
        return ErrorAnswer(status, said, retry_after=retry_after, is_json=False, request_id=own_id)
    message, code, kind = _said(error)
    return ErrorAnswer(status, clean(message), code, kind, retry_after, request_id=own_id)


def request_id(headers: Mapping[str, str]) -> str:
    """What a backend calls the request, for logs; empty if it does not say, or says something odd."""
    told = headers.get("request-id") or headers.get("x-request-id") or ""
    return told if _PLAIN_ID.fullmatch(told) else ""


def read_in_band(error: object) -> str:
    """The message of an error that came inside a stream."""
    return clean(_said({"error": error})[0]) or "the backend reported an error without a text"


def read_raw(error: Raw) -> str:
    """The same of one that was not decoded yet."""
    try:
        return read_in_band(msgspec.json.decode(error))
    except UNREADABLE:
        return "the backend reported an error that cannot be read"


def classify(answer: ErrorAnswer, *, backend: str, model: str) -> RouterError:
    """The exception that an error answer stands for; its message names the backend and never an address."""
    said = f"{backend}: {answer.message}" if answer.message else f"{backend} answered with status {answer.status}"
    words = f"{answer.message} {answer.code} {answer.kind}"
    if answer.status not in {401, 403, 429} and _CONTEXT.search(words):
        return ContextLengthExceeded(said, param="messages")
    if _NO_EMBEDDINGS.search(answer.message):
        return UnsupportedParameter(f"{backend}: the model '{model}' does not support embeddings", param="model")
    if answer.status != 429 and (found := _INCAPABLE.search(answer.message)):
        return UnsupportedParameter(said, param=_ABOUT.get((found["ability"] or "").lower(), "messages"))
    if answer.status >= 500:
        return _server_failure(answer, said, backend=backend, model=model)
    return _client_failure(answer, said, backend=backend, model=model)


def _server_failure(answer: ErrorAnswer, said: str, *, backend: str, model: str) -> RouterError:
    if answer.status == 503:
        busy = BackendLoading if _LOADING.search(answer.message) else BackendBusy
        return busy(said, retry_after=answer.retry_after or BUSY_RETRY_AFTER_S)
    if answer.status == 501 and _NO_INFILL.search(answer.message):
        return UnsupportedParameter(f"{backend}: the model '{model}' fills no gaps in a text", param="suffix")
    if answer.status == 501 and _NO_RERANK.search(answer.message):
        return UnsupportedOperation(f"{backend} does not offer rerank: start it with --reranking")
    if answer.status == 501 or _CLIENT_MISTAKE.search(answer.message):
        return RejectedByBackend(said)
    if answer.status == 504:
        return BackendTimeout(said)
    return BackendFailed(said)


def _client_failure(answer: ErrorAnswer, said: str, *, backend: str, model: str) -> RouterError:
    match answer.status:
        case 401 | 403:
            return BackendRefusedKey(f"{backend} refused the router's own credentials: check its api_key")
        case 400 | 404 if answer.is_json and _NO_SUCH_MODEL.search(f"{answer.code} {answer.message}"):
            return ModelMissing(f"The model '{model}' does not exist on {backend}.", param="model")
        case 404 | 405:
            return EndpointMissing(f"{backend} has no such endpoint: check its type and url")
        case 408:
            return BackendTimeout(said)
        case 429:
            return RateLimited(said, retry_after=answer.retry_after)
        case _:
            return RejectedByBackend(said, status=answer.status, code=answer.code or "invalid_request")


def retry_after_s(value: str | None) -> float | None:
    """A Retry-After header in seconds from now, whether it is a number or a date; None when it is neither."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None  # noqa: PLR0124 (nan)


def clean(message: str) -> str:
    """A backend's words as one line, cut short, without addresses, file paths or keys."""
    text = " ".join(message.split())
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}..."


def _said(body: object) -> tuple[str, str, str]:
    """Message, code and type of a decoded error body."""
    error = body
    if isinstance(body, dict):
        error = cast("dict[str, object]", body).get("error", cast("object", body))
    if isinstance(error, str):
        return _nested(error)
    if not isinstance(error, dict):
        return "", "", ""
    fields = cast("dict[str, object]", error)
    code, kind = fields.get("code"), fields.get("type")
    message = fields.get("message") or fields.get("detail") or ""
    return str(message), code if isinstance(code, str) else "", kind if isinstance(kind, str) else ""


def _nested(text: str) -> tuple[str, str, str]:
    """An error that is JSON inside a string, as Ollama passes on what its runner says."""
    if not text.startswith("{"):
        return text, "", ""
    try:
        inner: object = msgspec.json.decode(text.encode())
    except UNREADABLE:
        return text, "", ""
    return _said(cast("object", inner)) if isinstance(inner, dict) else (text, "", "")
