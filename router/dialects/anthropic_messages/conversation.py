"""A conversation as Claude takes it: turns alternate, and every tool call is answered in the turn after it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from router.canonical.request import Message, TextPart
from router.dialects.anthropic_messages.blocks import (
    Block,
    clean_id,
    content_blocks,
    missing_result,
    short,
    signed_blocks,
    text_blocks,
    tool_result,
    tool_use,
)
from router.dialects.anthropic_messages.traits import Traits
from router.errors import UnsupportedParameter, UnsupportedValue

_SYSTEM = frozenset({"system", "developer"})
_RESULTS = frozenset({"tool", "function"})


@dataclass(slots=True)
class _Turn:
    """`calls` pairs the client's id of each tool call with the one that is sent; `results` is keyed by the latter."""

    role: str
    blocks: list[Block | Raw] = field(default_factory=list[Block | Raw])
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    results: dict[str, Block] = field(default_factory=dict[str, Block])
    is_signed: bool = False


class Conversation:
    """The messages of a request, turned into `system` and `messages` one after the other.

    Raises UnsupportedParameter for a conversation that Claude would refuse.
    """

    def __init__(self, messages: Sequence[Message], traits: Traits, *, with_reasoning: bool) -> None:
        self._traits = traits
        self._with_reasoning = with_reasoning
        self._turns: list[_Turn] = []
        self.system: list[Block] = []
        self.called: dict[str, None] = {}
        """The names of the tools that were called, in order, once each."""
        for at, message in enumerate(messages):
            self._add(message, f"messages[{at}]", messages[at + 1 :])
        self._answer_calls()
        self._check_ends()

    @property
    def is_signed(self) -> bool:
        """Whether signed reasoning is in it."""
        return any(turn.is_signed for turn in self._turns)

    @property
    def lacks_reasoning(self) -> bool:
        """Whether it stands in the middle of a tool loop whose reasoning is lost."""
        if len(self._turns) < 2 or not self._turns[-1].results:
            return False
        return not self._turns[-2].is_signed

    def rendered(self) -> list[dict[str, Any]]:
        """The value of `messages`."""
        return [{"role": turn.role, "content": _content(turn)} for turn in self._turns]

    def _add(self, message: Message, place: str, following: Sequence[Message]) -> None:
        if message.role in _SYSTEM:
            self._add_system(message, following)
        elif message.role in _RESULTS:
            self._add_result(message, place)
        elif message.role == "assistant":
            self._add_assistant(message, place)
        elif message.role == "user":
            if blocks := content_blocks(message.parts, place):
                self._turn("user").blocks += blocks
        else:
            raise UnsupportedParameter(f"Claude has no role '{message.role}'", param=f"{place}.role")

    def _turn(self, role: str) -> _Turn:
        """The turn that is under way, or a new one when another side speaks."""
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _add_system(self, message: Message, following: Sequence[Message]) -> None:
        """In place where the model allows it there, which keeps its cache warm; else joined with the others."""
        blocks = text_blocks(message.parts)
        if not blocks:
            return
        last = self._turns[-1].role if self._turns else ""
        then = next((other.role for other in following if other.role not in _SYSTEM), "assistant")
        if self._traits.takes_system_inside and last in {"user", "system"} and then == "assistant":
            self._turn("system").blocks += blocks
        else:
            self.system += blocks

    def _add_assistant(self, message: Message, place: str) -> None:
        if any(not isinstance(part, TextPart) for part in message.parts):
            raise UnsupportedParameter("Claude takes no image or file from an assistant", param=f"{place}.content")
        texts = text_blocks(message.parts)
        if not texts and not message.tool_calls:
            return
        self._answer_calls()
        turn = self._turn("assistant")
        self._sign(turn, message.reasoning_blocks)
        if message.tool_calls:
            self._sign(turn, message.tool_calls[0].reasoning_blocks)
        turn.blocks += texts
        for at, call in enumerate(message.tool_calls):
            if at:
                self._sign(turn, call.reasoning_blocks)
            sent = clean_id(call.id, f"call_{len(self._turns)}_{len(turn.calls)}")
            if sent in {other for _, other in turn.calls}:
                sent = f"{sent}_{len(turn.calls)}"
            turn.calls.append((call.id, sent))
            turn.blocks.append(tool_use(call, sent, f"{place}.tool_calls[{at}]"))
            self.called[call.name] = None

    def _sign(self, turn: _Turn, blocks: Sequence[Raw]) -> None:
        signed = signed_blocks(blocks) if self._with_reasoning else []
        turn.blocks += signed
        turn.is_signed = turn.is_signed or bool(signed)

    def _add_result(self, message: Message, place: str) -> None:
        last = self._turns[-1] if self._turns else _Turn("")
        asking = last if last.role == "assistant" else self._turns[-2] if len(self._turns) > 1 else last
        results = last.results if last.role == "user" else {}
        wanted = message.tool_call_id
        if wanted is None and message.role == "function":
            wanted = f"call_{message.name}"
        for original, sent in asking.calls:
            if sent not in results and wanted in {None, original}:
                self._turn("user").results[sent] = tool_result(message.parts, sent, place)
                return
        raise UnsupportedValue(
            "Claude takes the result of a tool call once, and right after the turn with the call", param=place
        )

    def _answer_calls(self) -> None:
        """Gives every call of the latest assistant turn a result."""
        at = next((at for at in range(len(self._turns) - 1, -1, -1) if self._turns[at].role == "assistant"), None)
        if at is None or not self._turns[at].calls:
            return
        if at + 1 == len(self._turns):
            self._turns.append(_Turn("user"))
        results = self._turns[at + 1].results
        for _, sent in self._turns[at].calls:
            results.setdefault(sent, missing_result(sent))
        self._turns[at + 1].results = {sent: results[sent] for _, sent in self._turns[at].calls}

    def _check_ends(self) -> None:
        if not self._turns or self._turns[0].role != "user":
            raise UnsupportedValue("a conversation with Claude begins with a user's message", param="messages")
        last = self._turns[-1]
        if last.role != "assistant":
            return
        if not self._traits.prefills:
            raise UnsupportedValue("this model does not continue an assistant's message", param="messages")
        text = last.blocks[-1]
        if isinstance(text, dict):
            last.blocks[-1] = {**text, "text": text["text"].rstrip()}


def _content(turn: _Turn) -> Any:
    blocks = [*turn.results.values(), *turn.blocks]
    return short([block for block in blocks if isinstance(block, dict)]) if not turn.is_signed else blocks
