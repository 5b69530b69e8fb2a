"""Turns of a conversation as Anthropic's clients write them: content blocks to the hub's messages."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import FilePart, ImagePart, Message, OpaquePart, Part, TextPart, ToolCall
from router.dialects.anthropic_messages import wire
from router.dialects.openai_body import decode_typed
from router.dialects.undecoded import ABSENT, given
from router.errors import InvalidParameter

BILLING = "x-anthropic-billing-header"
"""How the line begins that Claude Code puts first: it is another one each time, and spoils every prefix cache."""

_PARAGRAPH = "\n\n"
_REASONING = frozenset({"thinking", "redacted_thinking"})


class Block(Struct):
    """A content block of any type; what only some types have is decoded when it is needed."""

    type: str
    text: str | None = None
    source: Raw = ABSENT
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    tool_use_id: str | None = None
    content: Raw = ABSENT
    is_error: bool | None = None
    title: str | None = None


Content = str | list[Block] | None


class Turn(Struct):
    role: str
    content: Content = None


class _Source(Struct):
    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: Raw = ABSENT


_CONTENT = msgspec.json.Decoder(Content)
_SOURCE = msgspec.json.Decoder(_Source)
_ANY = msgspec.json.Decoder()


def instructions(content: Content) -> Message | None:
    """The system prompt as one text, without the line that counts the client's money."""
    texts = [part.text for part in _parts(content, "system") if isinstance(part, TextPart)]
    told = [text for text in texts if text and not text.startswith(BILLING)]
    return Message("system", (TextPart(_PARAGRAPH.join(told)),)) if told else None


def messages(turn: Turn, place: str) -> Iterator[Message]:
    """The messages that one turn stands for; raises InvalidParameter for a role that is none."""
    match turn.role:
        case "user":
            yield from _said_by_user(turn.content, f"{place}.content")
        case "assistant":
            yield _said_by_assistant(turn.content, f"{place}.content")
        case "system":
            if (told := instructions(turn.content)) is not None:
                yield told
        case _:
            raise InvalidParameter("a role is user, assistant or system", param=f"{place}.role")


def _said_by_user(content: Content, place: str) -> Iterator[Message]:
    """Results of tools come first, each as a message; the images in them go with what the user says."""
    if not isinstance(content, list):
        yield Message("user", (TextPart(content or ""),))
        return
    said: list[Part] = []
    answers = False
    for at, block in enumerate(content):
        if block.type == "tool_result":
            answers = True
            parts = list(_parts(decode_typed(_CONTENT, block.content), f"{place}[{at}]")) if block.content else []
            texts = [part for part in parts if isinstance(part, TextPart)]
            yield Message("tool", _marked(texts, block), tool_call_id=block.tool_use_id or "")
            said += [part for part in parts if not isinstance(part, TextPart)]
        else:
            said += _part(block, f"{place}[{at}]")
    if said or not answers:
        yield Message("user", tuple(said))


def _marked(texts: Sequence[TextPart], block: Block) -> tuple[TextPart, ...]:
    if not block.is_error:
        return tuple(texts)
    first = texts[0].text if texts else ""
    return (TextPart(f"Error: {first}"), *texts[1:])


def _said_by_assistant(content: Content, place: str) -> Message:
    """What a service did by itself in the turn is left out: nobody else can go on with it."""
    if not isinstance(content, list):
        return Message("assistant", (TextPart(content),) if content else ())
    thought = [block.thinking for block in content if block.type == "thinking" and block.thinking]
    return Message(
        "assistant",
        tuple(TextPart(block.text) for block in content if block.type == "text" and block.text),
        tool_calls=tuple(
            _call(block, f"{place}[{at}]") for at, block in enumerate(content) if block.type == "tool_use"
        ),
        reasoning=_PARAGRAPH.join(thought) or None,
        reasoning_blocks=tuple(_signed(content)),
    )


def _signed(content: Sequence[Block]) -> Iterator[Raw]:
    for block in content:
        if block.type in _REASONING:
            kept = wire.Block(block.type, thinking=block.thinking, signature=block.signature, data=block.data)
            if (raw := wire.signed(kept)) is not None:
                yield raw


def _call(block: Block, place: str) -> ToolCall:
    if not block.name:
        raise InvalidParameter("a tool_use block needs a name", param=f"{place}.name")
    arguments = msgspec.json.encode(decode_typed(_ANY, block.input)).decode() if given(block.input) else "{}"
    return ToolCall(block.id or "", block.name, arguments)


def _parts(content: Content, place: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield TextPart(content)
    for at, block in enumerate(content if isinstance(content, list) else ()):
        yield from _part(block, f"{place}[{at}]")


def _part(block: Block, place: str) -> Iterator[Part]:
    match block.type:
        case "text":
            if block.text:
                yield TextPart(block.text)
        case "image":
            yield _image(block, place)
        case "document":
            yield from _document(block, place)
        case "search_result":
            yield from _parts(decode_typed(_CONTENT, block.content) if block.content else None, place)
        case _:
            yield OpaquePart(block.type)


def _source(block: Block, place: str) -> _Source:
    if given(block.source) is None:
        raise InvalidParameter(f"a block of type {block.type} needs a source", param=f"{place}.source")
    return decode_typed(_SOURCE, block.source)


def _image(block: Block, place: str) -> Part:
    source = _source(block, place)
    match source.type:
        case "base64":
            return ImagePart(source.data or "", source.media_type or "")
        case "url":
            return ImagePart(url=source.url or "")
        case _:
            return OpaquePart(block.type)


def _document(block: Block, place: str) -> Iterator[Part]:
    source = _source(block, place)
    match source.type:
        case "base64":
            yield FilePart("document", source.data or "", source.media_type or "", block.title or "")
        case "text":
            yield TextPart(source.data or "")
        case "content":
            yield from _parts(decode_typed(_CONTENT, source.content) if source.content else None, place)
        case _:
            yield OpaquePart(block.type)
