"""What the fake model says to a conversation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.fakes.persona import Persona, ToolUse
from tests.fakes.vocabulary import pieces

TOOL_ARGUMENTS: Mapping[str, Any] = {"city": "Paris"}


@dataclass(frozen=True, slots=True)
class Reply:
    """Pieces are frames of a stream; joined, they are the whole text."""

    thinking: Sequence[str]
    content: Sequence[str]
    tool: str | None
    prompt_tokens: int
    finish: Literal["stop", "length"] = "stop"
    arguments: Mapping[str, Any] = field(default_factory=lambda: TOOL_ARGUMENTS)

    @property
    def completion_tokens(self) -> int:
        return len(self.thinking) + len(self.content) + (self.tool is not None)

    def argument_pieces(self, usual: Sequence[str]) -> Sequence[str]:
        """The tool's arguments as JSON; `usual` is how this kind of server cuts those that are called by default."""
        if self.arguments == TOOL_ARGUMENTS:
            return usual
        text = json.dumps(self.arguments)
        return [text[at : at + 5] for at in range(0, len(text), 5)]


def reply_to(persona: Persona, body: Mapping[str, Any], *, think: bool, limit: int | None) -> Reply:
    """`limit` is the most pieces the caller wants; None or a negative number is no limit."""
    messages: list[Mapping[str, Any]] = body.get("messages") or []
    use = _tool_to_use(persona, messages, body.get("tools") or [])
    tool = use.name if use else None
    arguments = use.arguments if use else TOOL_ARGUMENTS
    thinking = pieces(persona.thinking) if think and persona.thinking else []
    begun = prefill_of(messages) if persona.flavour in ("ollama", "llama_cpp") else ""
    content = [] if tool else pieces(persona.reply.removeprefix(begun))
    prompt_tokens = sum(len(text_of(m.get("content")).split()) for m in messages)
    return _limited(Reply(thinking, content, tool, prompt_tokens, arguments=arguments), limit)


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


def _tool_to_use(
    persona: Persona, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> ToolUse | None:
    """What the persona is set to use; else the first tool when the last user message asks about the weather.

    None where a result has come.
    """
    offered = [str(tool["function"]["name"]) for tool in tools if "function" in tool]
    if persona.uses is not None:
        if any(message.get("role") == "tool" for message in messages):
            return None
        wanted = persona.uses.name
        named = wanted if wanted in offered else next((name for name in offered if name.endswith(wanted)), None)
        return replace(persona.uses, name=named) if named else None
    for message in reversed(messages):
        if message.get("role") == "tool" or not offered:
            return None
        if message.get("role") == "user":
            about_weather = "weather" in text_of(message.get("content")).lower()
            return ToolUse(offered[0], TOOL_ARGUMENTS) if about_weather else None
    return None
