"""What every answer in OpenAI's formats has in common: errors and token counts."""

from typing import Any

import msgspec
from msgspec import Struct

from router.canonical.events import UsageReported
from router.errors import RouterError

_encode = msgspec.json.Encoder().encode


class _Details(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(Struct, gc=False):
    """Token counts as a backend writes them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None

    def reported(self) -> UsageReported:
        """The same in no wire format."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        said = self.completion_tokens
        if said is None and self.prompt_tokens and self.total_tokens:
            said = self.total_tokens - self.prompt_tokens
        return UsageReported(
            self.prompt_tokens,
            said,
            prompt.cached_tokens if prompt else None,
            completion.reasoning_tokens if completion else None,
            prompt.cache_write_tokens if prompt else None,
        )


def render_error(error: RouterError) -> bytes:
    """An error body in OpenAI's shape."""
    return _encode({"error": {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}})


def usage_object(usage: UsageReported) -> dict[str, Any]:
    """Token counts in OpenAI's shape; what was not counted is 0."""
    prompt, completion = usage.prompt or 0, usage.completion or 0
    body: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if usage.cached is not None:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.cache_written is not None:
        body.setdefault("prompt_tokens_details", {})["cache_write_tokens"] = usage.cache_written
    if usage.reasoning is not None:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    if usage.estimated:
        body["estimated"] = True
    return body
