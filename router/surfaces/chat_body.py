"""What comes to the chat completions: nearly always what belongs there."""

from collections.abc import Sequence

from msgspec import Raw

from router.canonical.request import ChatRequest
from router.dialects import openai_chat, openai_responses
from router.errors import InvalidParameter


class _Nothing:
    """Chat completions are not kept, so there is nothing to go on from."""

    def conversation(self, response_id: str) -> Sequence[Raw] | None:  # noqa: ARG002 (none is known)
        return None

    def item(self, item_id: str) -> Raw | None:  # noqa: ARG002 (the same)
        return None


def parse_chat(body: bytes) -> ChatRequest:
    """A chat request, or one of the Responses API that Cursor posts here and wants answered in chat chunks.

    Raises what the dialect does that the body is written in.
    """
    try:
        return openai_chat.parse_request(body)
    except InvalidParameter:
        if not openai_responses.is_meant(body):
            raise
    return openai_responses.parse_request(body, _Nothing()).chat
