"""Token log probabilities: the lists of text completions, and those of chats that the hub has."""

from typing import Any

import msgspec
from msgspec import Raw, Struct


class _Token(Struct):
    token: str = ""
    logprob: float | None = None
    top_logprobs: list["_Token"] | None = None


class _Lists(Struct):
    """As written here, or with `content` as some servers write them even here."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[Raw] | None = None


_TOKENS = msgspec.json.Decoder(list[_Token])
_LISTS = msgspec.json.Decoder(_Lists)


class Offsets:
    """Where in the text of each choice the next token begins."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}

    def skip(self, choice: int, text: str) -> None:
        """A text that has no token."""
        self._at[choice] = self._at.get(choice, 0) + len(text)

    def lists(self, content: Raw, choice: int, most: int) -> dict[str, Any] | None:
        """The lists for some tokens, with at most so many others for each; None for what nobody can read."""
        try:
            tokens = _TOKENS.decode(content)
        except msgspec.DecodeError:
            return None
        offsets: list[int] = []
        for token in tokens:
            offsets.append(self._at.get(choice, 0))
            self.skip(choice, token.token)
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [_others(token, most) for token in tokens] if most else None,
            "text_offset": offsets,
        }


def to_hub(raw: Raw) -> Raw | None:
    """The hub's list for the lists of a text completion; None for what nobody can read."""
    try:
        lists = _LISTS.decode(raw)
    except msgspec.DecodeError:
        return None
    if lists.content is not None:
        return Raw(msgspec.json.encode(lists.content))
    tokens, logprobs, others = lists.tokens or [], lists.token_logprobs or [], lists.top_logprobs or []
    content: list[dict[str, Any]] = []
    for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=False)):
        other = (others[place] if place < len(others) else None) or {}
        top = [_entry(text, value) for text, value in other.items()]
        content.append({**_entry(token, logprob), "top_logprobs": top})
    return Raw(msgspec.json.encode(content)) if content else None


def _entry(token: str, logprob: float | None) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "replace"))}


def _others(token: _Token, most: int) -> dict[str, float | None]:
    return {other.token: other.logprob for other in (token.top_logprobs or [])[:most]}
