"""What the fake model says to a conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.fakes.persona import Persona
from tests.fakes.vocabulary import pieces


@dataclass(frozen=True, slots=True)
class Reply:
    """Pieces are frames of a stream; joined, they are the whole text."""

    thinking: Sequence[str]
    content: Sequence[str]
    tool: str | None
    prompt_tokens: int
    finish: Literal["stop", "length"] = "stop"

    @property
    def completion_tokens(self) -> int:
        return len(self.thinking) + len(self.content) + (self.tool is not None)


TOOL_ARGUMENTS = {"city": "Paris"}


def reply_to(persona: Persona, body: Mapping[str, Any], *, think: bool, limit: int | None) -> Reply:
    """`limit` is the most pieces the caller wants; None or a negative number is no limit."""
    messages: list[Mapping[str, Any]] = body.get("messages") or []
    tool = _tool_to_call(messages, body.get("tools") or [])
    thinking = pieces(persona.thinking) if think and persona.thinking else []
    begun = prefill_of(messages) if persona.flavour in ("ollama", "llama_cpp") else ""
    content = [] if tool else pieces(persona.reply.removeprefix(begun))
    prompt_tokens = sum(len(text_of(m.get("content")).split()) for m in messages)
    return _limited(Reply(thinking, content, tool, prompt_tokens), limit)


def prefill_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The beginning of the answer, which Ollama and llama.cpp go on with: a last message of the assistant."""
    last = messages[-1] if messages else {}
    return text_of(last.get("content")) if last.get("role") == "assistant" else ""


def completion_of(persona: Persona, prompt: str, *, limit: int | None) -> Reply:
    return _limited(Reply([], pieces(persona.reply), None, len(prompt.split())), limit)


def text_of(content: object) -> str:
    """The text of a message, whether written as a string or as parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def _limited(reply: Reply, limit: int | None) -> Reply:
    if limit is None or limit < 0 or reply.completion_tokens <= limit:
        return reply
    thinking = reply.thinking[:limit]
    content = reply.content[: limit - len(thinking)]
    return Reply(thinking, content, None, reply.prompt_tokens, "length")


def _tool_to_call(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str | None:
    """The first tool, when the last user message asks about the weather and no result came yet."""
    if not tools:
        return None
    for message in reversed(messages):
        if message.get("role") == "tool":
            return None
        if message.get("role") == "user":
            about_weather = "weather" in text_of(message.get("content")).lower()
            return str(tools[0]["function"]["name"]) if about_weather else None
    return None
