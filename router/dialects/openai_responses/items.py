"""Input items as messages: what stands side by side of one answer becomes one message again."""

from collections.abc import Sequence

from msgspec import Raw

from router.canonical.request import FilePart, ImagePart, Message, OpaquePart, Part, TextPart, ToolCall
from router.dialects import data_url
from router.dialects.openai_body import decode_typed
from router.dialects.openai_responses import wire
from router.dialects.openai_responses.sealed import unsealed
from router.dialects.openai_responses.tools import custom_call, function_name, shell_call
from router.errors import InvalidParameter

_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "local_shell_call_output"})
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text", ""})
_SILENT = frozenset(
    {
        "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call",
        "mcp_list_tools", "tool_search_call", "tool_search_output",
    }
)  # fmt: skip
"""What OpenAI's own tools did: its results are in the text that followed."""


class _Answer:
    """One turn of the assistant, as its items come."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.calls: list[ToolCall] = []
        self.reasoning: list[str] = []
        self.blocks: list[Raw] = []
        self.before_call: list[Raw] = []

    def message(self) -> Message | None:
        """None for thoughts that led to nothing: no backend takes them alone."""
        if not self.parts and not self.calls:
            return None
        return Message(
            "assistant",
            tuple(self.parts),
            tuple(self.calls),
            reasoning="\n\n".join(self.reasoning) or None,
            reasoning_blocks=tuple(self.blocks),
        )


class Conversation:
    """Takes the items one after the other. `skipped` are types that nobody here knows."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._answer: _Answer | None = None
        self._call_ids: dict[str, str] = {}
        self._shown: list[Part] = []
        self.skipped: dict[str, None] = {}

    def add(self, raw: Raw, place: str) -> None:
        """Raises InvalidParameter, naming the place, for an item that is not what its type says."""
        try:
            kind = decode_typed(wire.KIND, raw)
            self._take(kind.type or ("message" if kind.role else ""), raw)
        except InvalidParameter as error:
            param = f"{place}.{error.param}" if error.param else place
            raise InvalidParameter(f"{place}: {error.message}", param=param) from None

    def messages(self) -> tuple[Message, ...]:
        """All of it, once."""
        self._close()
        self._show()
        return tuple(self._messages)

    def _take(self, kind: str, raw: Raw) -> None:
        if kind not in _OUTPUTS:
            self._show()
        if kind == "message":
            self._say(decode_typed(wire.ITEM, raw))
        elif kind == "reasoning":
            self._think(decode_typed(wire.ITEM, raw))
        elif kind in _CALLS:
            self._call(kind, decode_typed(wire.ITEM, raw))
        elif kind in _OUTPUTS:
            self._result(decode_typed(wire.ITEM, raw))
        elif not kind:
            raise InvalidParameter("an input item needs a type", param="type")
        elif kind not in _SILENT:
            self.skipped[f"input.{kind}"] = None

    def _open(self) -> _Answer:
        if self._answer is None:
            self._answer = _Answer()
        return self._answer

    def _close(self) -> None:
        if self._answer is not None and (message := self._answer.message()) is not None:
            self._messages.append(message)
        self._answer = None

    def _say(self, item: wire.Item) -> None:
        if item.role is None:
            raise InvalidParameter("a message needs a role", param="role")
        said = parts(item.content)
        if item.role == "assistant":
            self._open().parts += said
            return
        self._close()
        self._messages.append(Message(item.role, said, name=item.name))

    def _think(self, item: wire.Item) -> None:
        """Signed reasoning stands where it stood: before the text, or before the call that it led to."""
        blocks = unsealed(item.encrypted_content)
        if blocks and self._answer is not None and self._answer.parts and not self._answer.calls:
            self._close()
        answer = self._open()
        thoughts = [part.text for part in item.summary or () if part.text]
        if not thoughts and isinstance(item.content, list):
            thoughts = [part.text for part in item.content if part.text]
        answer.reasoning += thoughts
        (answer.before_call if answer.calls else answer.blocks).extend(blocks)

    def _call(self, kind: str, item: wire.Item) -> None:
        answer = self._open()
        call = _call(kind, item)
        blocks, answer.before_call = tuple(answer.before_call), []
        if item.id:
            self._call_ids[item.id] = call.id
        answer.calls.append(ToolCall(call.id, call.name, call.arguments, blocks))

    def _result(self, item: wire.Item) -> None:
        self._close()
        call_id = item.call_id or item.id
        if not call_id:
            raise InvalidParameter("the output of a tool call needs its call_id", param="call_id")
        told = parts(item.output)
        texts = tuple(part for part in told if isinstance(part, TextPart))
        self._shown += [part for part in told if not isinstance(part, TextPart)]
        self._messages.append(Message("tool", texts, tool_call_id=self._call_ids.get(call_id, call_id)))

    def _show(self) -> None:
        """What tools returned besides text is shown by the user, after all results: few backends take it of a tool."""
        if self._shown:
            self._messages.append(Message("user", tuple(self._shown)))
            self._shown = []


def _call(kind: str, item: wire.Item) -> ToolCall:
    call_id = item.call_id or item.id or ""
    if kind == "local_shell_call":
        return shell_call(call_id, item.action)
    if not item.name:
        raise InvalidParameter("a tool call needs a name", param="name")
    name = function_name(item.name, item.namespace)
    if kind == "custom_tool_call":
        return custom_call(call_id, name, item.input or "")
    return ToolCall(call_id, name, item.arguments or "{}")


def parts(content: str | Sequence[wire.Part] | None) -> tuple[Part, ...]:
    """The parts of a message or of a tool's output; null and empty say nothing."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part, f"content[{at}]") for at, part in enumerate(content))


def _part(part: wire.Part, place: str) -> Part:
    if part.type in _TEXTS:
        return TextPart(part.text or "")
    if part.type == "refusal":
        return TextPart(part.refusal or "")
    if part.type in {"input_image", "image_url"} and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        found = data_url.base64_of(url)
        return ImagePart(url=url) if found is None else ImagePart(found[1], found[0])
    if part.type == "input_file" and part.file_data:
        found = data_url.base64_of(part.file_data)
        if found is None:
            raise InvalidParameter("file_data is a data: URL with base64 data", param=f"{place}.file_data")
        return FilePart("file", found[1], found[0], part.filename or "")
    return OpaquePart(part.type)
