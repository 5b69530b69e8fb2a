"""Bodies of the last requests, in memory only and only if the settings say so: cut, and without what looks secret."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send, WebSocketReceiveMessage
from msgspec import Struct

from router.access.principal import ANYBODY, Principal
from router.surfaces.recording import entry_of

MAX_REQUESTS = 50
MAX_BYTES = 16 * 1024
MIN_SECRET = 6
TORN_CHARS = 256
"""So much of the end of a body that was cut is left out, since half a secret would not be known for one."""
SAID = frozenset({
    "content", "text", "delta", "thinking", "reasoning", "reasoning_content", "arguments", "partial_json", "message",
})  # fmt: skip

_MEDIA = re.compile(r"(?<=;base64,)[A-Za-z0-9+/=_\-\\]{64,}|(?<=\")[A-Za-z0-9+/=_\-]{512,}")
_NAMED = re.compile(
    r"""((?:api[_-]?key|password|passwd|secret|access[_-]?token|authorization|credentials?)\\?["']?\s*[:=]\s*\\?["']?)"""
    r"""(?:bearer\s+|basic\s+)?[^\s"'\\,;}]+""",
    re.IGNORECASE,
)
_SHAPED = re.compile(
    r"""\b(?:sk|pk|rk|ghp|gho|glpat|hf|xox[abp]|AKIA|AIza|eyJ)[-_A-Za-z0-9.]{12,}|(?<=://)[^\s/@"'\\]+:[^\s/@"'\\]+(?=@)"""
)
_BEARER = re.compile(r"(?<=bearer )[-_A-Za-z0-9.~+/=]{6,}", re.IGNORECASE)


class Bodies(Struct, frozen=True):
    """What was sent and answered; cut ones end with how many bytes are not shown."""

    request: str
    response: str


class CaptureBook:
    """The bodies of the last requests, each by its key and its id. `secrets` gives those of the router itself."""

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets
        self._bodies: OrderedDict[tuple[str, str], Bodies] = OrderedDict()

    def keep(self, key_id: str, request_id: str, bodies: tuple["Excerpt", "Excerpt"]) -> None:
        """The oldest make room."""
        secrets = [secret for secret in self._secrets() if len(secret) >= MIN_SECRET]
        self._bodies[key_id, request_id] = Bodies(*(excerpt.told(secrets) for excerpt in bodies))
        self._bodies.move_to_end((key_id, request_id))
        while len(self._bodies) > MAX_REQUESTS:
            self._bodies.popitem(last=False)

    def find(self, key_id: str, request_id: str) -> Bodies | None:
        return self._bodies.get((key_id, request_id))


class Excerpt:
    """The beginning of a body, while it goes by."""

    __slots__ = ("_kept", "_size")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if (room := MAX_BYTES - len(self._kept)) > 0:
            self._kept += piece[:room]

    def told(self, secrets: Sequence[str]) -> str:
        """As text, without secrets; of a stream, what was said in it, since a secret may be in pieces there."""
        text = self._kept.decode("utf-8", "replace")
        more = self._size - len(self._kept)
        if text.startswith((": ", "data: ", "event: ")):
            text = "".join(_said_in(text))
        elif more:
            text = text[:-TORN_CHARS]
        text = redacted(text, secrets)
        return f"{text} [cut: {self._size} bytes in all]" if more else text


def _said_in(stream: str) -> Iterator[str]:
    for line in stream.split("\n"):
        with suppress(msgspec.DecodeError):
            yield from _texts(msgspec.json.decode(line.removeprefix("data: ")), said=False)


def _texts(value: Any, *, said: bool) -> Iterator[str]:
    if isinstance(value, str) and said:
        yield value
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _texts(each, said=said)
    elif isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from _texts(each, said=name in SAID)


def redacted(text: str, secrets: Sequence[str] = ()) -> str:
    """Without known secrets, what is named or shaped like one, and pictures: rather too little than too much."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    text = _MEDIA.sub("[media]", text)
    text = _BEARER.sub("[redacted]", text)
    text = _NAMED.sub(r"\1[redacted]", text)
    return _SHAPED.sub("[redacted]", text)


class Capture:
    """Stands around the app where bodies are kept, and nowhere else."""

    def __init__(self, app: ASGIApp, book: CaptureBook) -> None:
        self._app = app
        self._book = book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, answered = Excerpt(), Excerpt()

        async def receiving() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            message = await receive()
            if message["type"] == "http.request":
                asked.add(message["body"])
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                answered.add(message["body"])
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            entry = entry_of(scope)
            if entry.operation:
                principal: Principal = scope["state"].get("principal", ANYBODY)
                self._book.keep(principal.key_id, entry.id, (asked, answered))
