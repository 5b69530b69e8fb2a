"""Errors in the form and the words of the server being faked."""

from typing import Any

from tests.fakes.answer import Answer, named_sse_frame, ndjson_frame, sse_frame, to_go_json, whole
from tests.fakes.persona import Flavour

_LLAMA_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}
_OLLAMA_TYPES = {400: "invalid_request_error", 404: "not_found_error"}
_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
}
_CLAUDE_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_TEXTS: dict[Flavour, dict[int, str]] = {
    "ollama": {
        401: "unauthorized",
        503: "server busy, please try again.  maximum pending requests exceeded",
    },
    "llama_cpp": {401: "Invalid API Key", 404: "File Not Found", 503: "no slot available"},
    "claude": {401: "invalid x-api-key", 529: "Overloaded"},
    "openai": {
        401: "Incorrect API key provided.",
        429: "Rate limit reached for requests",
        503: "The server is currently overloaded with other requests.",
    },
}
_RUNNER_FAILED = "an error was encountered while running the model: unexpected EOF"

LOADING = whole({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}, status=503)


class Refusal(Exception):
    """The server says no. `code` and `param` are OpenAI's."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def default_refusal(status: int, flavour: Flavour) -> Refusal:
    message = _TEXTS[flavour].get(status, f"the fake was told to answer {status}")
    return Refusal(status, message, code=_OPENAI_CODES.get(status) if flavour == "openai" else None)


def render(refusal: Refusal, flavour: Flavour, *, path: str) -> Answer:
    body = error_body(refusal, flavour, path=path)
    if _is_native(flavour, path):
        return Answer((to_go_json(body).encode(),), status=refusal.status)
    closes = flavour == "llama_cpp" and refusal.status == 400
    return whole(body, status=refusal.status, headers={"Connection": "close"} if closes else None)


def error_body(refusal: Refusal, flavour: Flavour, *, path: str) -> dict[str, Any]:
    if _is_native(flavour, path):
        return {"error": refusal.message}
    if flavour == "claude":
        kind = _CLAUDE_TYPES.get(refusal.status, "api_error")
        error = {"type": kind, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": "req_fake"}
    if flavour == "llama_cpp":
        kind = _LLAMA_TYPES.get(refusal.status, "server_error")
        error = {"code": refusal.status, "message": refusal.message, "type": kind}
        return {"error": error}
    if flavour == "ollama":
        kind = _OLLAMA_TYPES.get(refusal.status, "api_error")
    else:
        kind = _OPENAI_TYPES.get(refusal.status, "server_error")
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def mid_stream_error(flavour: Flavour, path: str) -> bytes:
    body = error_body(Refusal(500, _RUNNER_FAILED), flavour, path=path)
    if flavour == "claude":
        return named_sse_frame(body)
    return ndjson_frame(body) if _is_native(flavour, path) else sse_frame(body)


def _is_native(flavour: Flavour, path: str) -> bool:
    return flavour == "ollama" and path.startswith("/api/")
