"""Parts of messages as Claude's content blocks."""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import FilePart, ImagePart, OpaquePart, Part, TextPart, ToolCall
from router.dialects.failures import UNREADABLE
from router.errors import InvalidParameter, UnsupportedParameter

Block = dict[str, Any]

_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class _Reasoning(Struct):
    type: str = ""
    signature: str | None = None
    data: str | None = None


_REASONING = msgspec.json.Decoder(_Reasoning)


def content_blocks(parts: Sequence[Part], place: str) -> list[Block]:
    """The blocks of a message; empty text has none. Raises UnsupportedParameter for what Claude cannot take."""
    blocks: list[Block] = []
    for at, part in enumerate(parts):
        if isinstance(part, TextPart):
            blocks += text_blocks((part,))
        elif isinstance(part, ImagePart):
            blocks.append(_marked(_image(part, f"{place}.content[{at}]"), part.cache))
        else:
            blocks.append(_document(part, f"{place}.content[{at}]"))
    return blocks


def text_blocks(parts: Iterable[Part]) -> list[Block]:
    """The text alone; white space alone is refused by Claude, so it is left out."""
    return [
        _marked({"type": "text", "text": part.text}, part.cache)
        for part in parts
        if isinstance(part, TextPart) and part.text.strip()
    ]


def short(blocks: Sequence[Block]) -> str | Sequence[Block]:
    """One plain text as a string, which is the same to Claude."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def signed_blocks(blocks: Iterable[Raw]) -> list[Raw]:
    """The blocks of reasoning that Claude would take back: those that are signed or redacted."""
    return [block for block in blocks if _is_signed(block)]


def tool_use(call: ToolCall, call_id: str, place: str) -> Block:
    """A call with its arguments as they were written; raises InvalidParameter unless they are a JSON object."""
    text = call.arguments.strip() or "{}"
    try:
        _OBJECT.decode(text)
    except UNREADABLE:
        raise InvalidParameter(
            f"the arguments of the call to '{call.name}' are not a JSON object", param=f"{place}.function.arguments"
        ) from None
    return {"type": "tool_use", "id": call_id, "name": call.name, "input": Raw(text.encode())}


def tool_result(parts: Sequence[Part], call_id: str, place: str) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": call_id}
    if content := content_blocks(parts, place):
        block["content"] = short(content)
    return block


def missing_result(call_id: str) -> Block:
    """What stands for the result of a call that was never answered: Claude refuses a call without one."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": "There is no result.", "is_error": True}


def clean_id(call_id: str, otherwise: str) -> str:
    """An id that Claude accepts: the same one, or always the same other one."""
    if not call_id:
        return otherwise
    if _ID.fullmatch(call_id):
        return call_id
    return f"{_NOT_ID.sub('_', call_id)[:40]}_{sha256(call_id.encode()).hexdigest()[:8]}"


def _marked(block: Block, cache: Raw | None) -> Block:
    return block if cache is None else {**block, "cache_control": cache}


def _image(part: ImagePart, place: str) -> Block:
    if part.url:
        if not part.url.lower().startswith(("https://", "http://")):
            raise InvalidParameter("an image is a data: URL with base64 data, or an http(s) URL", param=place)
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    media_type = part.media_type.lower().replace("image/jpg", "image/jpeg")
    if media_type not in _IMAGE_TYPES:
        known = ", ".join(sorted(_IMAGE_TYPES))
        raise UnsupportedParameter(f"Claude reads images of the types {known}, not '{media_type[:60]}'", param=place)
    if not part.data:
        raise InvalidParameter("an image has no data", param=place)
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.data}}


def _document(part: OpaquePart, place: str) -> Block:
    if not isinstance(part, FilePart):
        raise UnsupportedParameter(f"Claude cannot be sent a part of type '{part.kind}'", param=f"{place}.type")
    if part.media_type.lower() != _PDF:
        raise UnsupportedParameter("Claude reads files that are PDFs in a data: URL", param=f"{place}.file")
    block: Block = {"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": part.data}}
    return {**block, "title": part.name} if part.name else block


def _is_signed(raw: Raw) -> bool:
    try:
        block = _REASONING.decode(raw)
    except UNREADABLE:
        return False
    if block.type == "redacted_thinking":
        return bool(block.data)
    return block.type == "thinking" and bool(block.signature)
