"""The items that an answer consists of, each written piece by piece: as events, and whole at its end."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from router.dialects.openai_responses.ids import new_id
from router.dialects.openai_responses.sealed import sealed
from router.dialects.openai_responses.tools import Action, Origin, custom_input, shell_action

_encode = msgspec.json.Encoder().encode
_LISTS = msgspec.json.Decoder(list[Raw])


class Writer:
    """Numbers the events of one answer and collects their bytes."""

    def __init__(self) -> None:
        self._number = 0
        self._out: list[bytes] = []

    def event(self, kind: str, **fields: Any) -> None:
        """An event with its number."""
        body = _encode({"type": kind, "sequence_number": self._next(), **fields})
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), body))

    def text_delta(self, place: bytes, text: str) -> None:
        """What nearly all events are; `place` is JSON of the ids and indices, without its braces."""
        self._out.append(
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d,%b,'
            b'"delta":%b,"logprobs":[]}\n\n' % (self._next(), place, _encode(text))
        )

    def taken(self) -> bytes:
        """The bytes since this was last asked for."""
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def _next(self) -> int:
        self._number += 1
        return self._number - 1


class Item(Protocol):
    """An item that is being written."""

    index: int

    def close(self, writer: Writer, status: str) -> Mapping[str, Any]:
        """Ends it with its last events; returns it whole."""
        ...


class MessageItem:
    """Text, and a refusal if there is one."""

    def __init__(self, index: int, writer: Writer) -> None:
        self.index = index
        self._id = new_id("msg")
        self._text: list[str] | None = None
        self._refusal: list[str] = []
        self._logprobs: list[Raw] = []
        self._place = b'"output_index":%d,"item_id":"%b","content_index":0' % (index, self._id.encode())
        writer.event("response.output_item.added", output_index=index, item=self._item("in_progress", []))

    def say(self, text: str, writer: Writer) -> None:
        """Text goes before a refusal: after one has begun, there is no more of it."""
        if self._text is None:
            self._text = []
            self._event(writer, "response.content_part.added", 0, part=_text_part("", []))
        self._text.append(text)
        writer.text_delta(self._place, text)

    def refuse(self, text: str, writer: Writer) -> None:
        """A piece of the reason why the model declines."""
        at = 0 if self._text is None else 1
        if not self._refusal:
            self._event(writer, "response.content_part.added", at, part={"type": "refusal", "refusal": ""})
        self._refusal.append(text)
        self._event(writer, "response.refusal.delta", at, delta=text)

    @property
    def is_refused(self) -> bool:
        return bool(self._refusal)

    def weigh(self, logprobs: Raw) -> None:
        """Log probabilities of what was said, a JSON list."""
        self._logprobs += _LISTS.decode(logprobs)

    def close(self, writer: Writer, status: str) -> Mapping[str, Any]:
        content: list[Mapping[str, Any]] = []
        if self._text is not None:
            text = "".join(self._text)
            content.append(_text_part(text, self._logprobs))
            self._event(writer, "response.output_text.done", 0, text=text, logprobs=self._logprobs)
            self._event(writer, "response.content_part.done", 0, part=content[0])
        if self._refusal:
            at, refusal = len(content), "".join(self._refusal)
            content.append({"type": "refusal", "refusal": refusal})
            self._event(writer, "response.refusal.done", at, refusal=refusal)
            self._event(writer, "response.content_part.done", at, part=content[at])
        item = self._item(status, content)
        writer.event("response.output_item.done", output_index=self.index, item=item)
        return item

    def _item(self, status: str, content: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _event(self, writer: Writer, kind: str, content_index: int, **fields: Any) -> None:
        writer.event(kind, output_index=self.index, item_id=self._id, content_index=content_index, **fields)


def _text_part(text: str, logprobs: list[Raw]) -> Mapping[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


class ReasoningItem:
    """Thoughts, told as a summary, and sealed with them the blocks that prove whose they are."""

    def __init__(self, index: int, writer: Writer) -> None:
        self.index = index
        self._id = new_id("rs")
        self._text: list[str] = []
        self._blocks: list[Raw] = []
        writer.event("response.output_item.added", output_index=index, item=self._item([]))

    @property
    def is_signed(self) -> bool:
        """Whether it is whole: what is thought after this is another item."""
        return bool(self._blocks)

    def think(self, text: str, writer: Writer) -> None:
        if not self._text:
            self._event(writer, "response.reasoning_summary_part.added", part={"type": "summary_text", "text": ""})
        self._text.append(text)
        self._event(writer, "response.reasoning_summary_text.delta", delta=text)

    def sign(self, block: Raw) -> None:
        self._blocks.append(block)

    def close(self, writer: Writer, status: str) -> Mapping[str, Any]:  # noqa: ARG002 (it has none)
        summary: list[Mapping[str, Any]] = []
        if self._text:
            text = "".join(self._text)
            summary.append({"type": "summary_text", "text": text})
            self._event(writer, "response.reasoning_summary_text.done", text=text)
            self._event(writer, "response.reasoning_summary_part.done", part=summary[0])
        item = self._item(summary)
        if self._blocks:
            item["encrypted_content"] = sealed(self._blocks)
        writer.event("response.output_item.done", output_index=self.index, item=item)
        return item

    def _item(self, summary: list[Mapping[str, Any]]) -> dict[str, Any]:
        return {"id": self._id, "type": "reasoning", "summary": summary}

    def _event(self, writer: Writer, kind: str, **fields: Any) -> None:
        writer.event(kind, output_index=self.index, item_id=self._id, summary_index=0, **fields)


class CallItem:
    """A tool call, of the type that the client asked for. Only a function's arguments can be told in pieces."""

    def __init__(self, index: int, call_id: str, origin: Origin, writer: Writer) -> None:
        self.index = index
        self._call_id = call_id
        self._origin = origin
        self._id = new_id({"custom": "ctc", "local_shell": "lsh"}.get(origin.kind, "fc"))
        self._arguments: list[str] = []
        writer.event("response.output_item.added", output_index=index, item=self._item("", "in_progress"))

    def argue(self, text: str, writer: Writer) -> None:
        self._arguments.append(text)
        if self._origin.kind == "function":
            self._event(writer, "response.function_call_arguments.delta", delta=text)

    def close(self, writer: Writer, status: str) -> Mapping[str, Any]:
        arguments = "".join(self._arguments)
        if self._origin.kind == "function":
            arguments = arguments or "{}"
            self._event(writer, "response.function_call_arguments.done", arguments=arguments, name=self._origin.name)
        elif self._origin.kind == "custom":
            told = custom_input(arguments)
            self._event(writer, "response.custom_tool_call_input.delta", delta=told)
            self._event(writer, "response.custom_tool_call_input.done", input=told)
        item = self._item(arguments, status)
        writer.event("response.output_item.done", output_index=self.index, item=item)
        return item

    def _item(self, arguments: str, status: str) -> dict[str, Any]:
        origin = self._origin
        item: dict[str, Any] = {"id": self._id, "status": status, "call_id": self._call_id}
        if origin.kind == "local_shell":
            action = shell_action(arguments) if arguments else Action()
            return {**item, "type": "local_shell_call", "action": {"type": "exec", **msgspec.to_builtins(action)}}
        named = {"name": origin.name} if origin.namespace is None else {
            "name": origin.name, "namespace": origin.namespace
        }  # fmt: skip
        if origin.kind == "custom":
            return {**item, "type": "custom_tool_call", **named, "input": custom_input(arguments)}
        return {**item, "type": "function_call", **named, "arguments": arguments}

    def _event(self, writer: Writer, kind: str, **fields: Any) -> None:
        writer.event(kind, output_index=self.index, item_id=self._id, **fields)
