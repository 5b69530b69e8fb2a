"""The messages of Ollama's clients: calls and results that have no ids get some."""

from base64 import b64decode
from collections.abc import Sequence

from msgspec import Raw, Struct

from router.canonical.request import ImagePart, Message, Part, TextPart, ToolCall
from router.dialects.undecoded import ABSENT, given
from router.errors import InvalidParameter

_HEADS = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"))
_HEAD_LENGTH = 16


class WrittenFunction(Struct):
    name: str = ""
    arguments: Raw = ABSENT


class WrittenCall(Struct):
    id: str | None = None
    function: WrittenFunction | None = None


class Written(Struct):
    """A message as it is written; `tool_name` is whose result it is."""

    role: str = ""
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[WrittenCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Conversation:
    """Reads messages one after another, and remembers which calls still wait for their result."""

    def __init__(self) -> None:
        self._calls = 0
        self._unanswered: list[tuple[str, str]] = []

    def messages(self, written: Sequence[Written]) -> tuple[Message, ...]:
        """Raises InvalidParameter for an image that is no base64."""
        return tuple(self._message(message, f"messages[{place}]") for place, message in enumerate(written))

    def _message(self, written: Written, place: str) -> Message:
        role = written.role.lower()
        answered = self._answered(written) if role == "tool" else None
        return Message(
            role,
            parts(written.content, written.images, place),
            tool_calls=tuple(self._call(call, f"{place}.tool_calls") for call in written.tool_calls or ()),
            tool_call_id=answered,
            reasoning=written.thinking or None,
        )

    def _call(self, call: WrittenCall, place: str) -> ToolCall:
        function = call.function or WrittenFunction()
        if not function.name:
            raise InvalidParameter("a tool call names no function", param=place)
        self._calls += 1
        call_id = call.id or f"call_{self._calls}"
        self._unanswered.append((call_id, function.name))
        arguments = given(function.arguments)
        return ToolCall(call_id, function.name, "{}" if arguments is None else bytes(arguments).decode())

    def _answered(self, written: Written) -> str:
        """The call that a result belongs to: by its id, else the first that waits under its name, else the first."""
        name = written.tool_name
        found = next((one for one in self._unanswered if one[0] == written.tool_call_id), None)
        if written.tool_call_id is None:
            named = next((one for one in self._unanswered if one[1] == name), None)
            found = named or (self._unanswered[0] if self._unanswered and not name else None)
        if found is None:
            return written.tool_call_id or f"call_{name or 'unknown'}"
        self._unanswered.remove(found)
        return found[0]


def parts(text: str | None, images: Sequence[str] | None, place: str) -> tuple[Part, ...]:
    """A text and the images that go with it; an empty text is none."""
    told: tuple[Part, ...] = (TextPart(text),) if text else ()
    return (*told, *(_image(image, f"{place}.images[{at}]") for at, image in enumerate(images or ())))


def _image(data: str, place: str) -> ImagePart:
    """Bare base64, as Ollama wants it; the head of a data URL, which other clients send, is taken off."""
    if data.startswith("data:"):
        data = data.partition(",")[2]
    data = data.replace("\n", "").replace("\r", "")
    try:
        head = b64decode(data, validate=True)[:_HEAD_LENGTH]
    except ValueError:
        raise InvalidParameter("an image must be standard base64", param=place) from None
    if not head:
        raise InvalidParameter("an image has no data", param=place)
    return ImagePart(data, _media_type(head))


def _media_type(head: bytes) -> str:
    """By the first bytes: nobody says it."""
    if head[:4] == b"RIFF":
        return "audio/wav" if head[8:12] == b"WAVE" else "image/webp"
    return next((kind for start, kind in _HEADS if head.startswith(start)), "image/png")
