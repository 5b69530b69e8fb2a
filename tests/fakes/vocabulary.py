"""Text cut into pieces: the frames of a stream, the tokens of a tokenizer."""

import re

_PIECE = re.compile(r"\s*\S+|\s+\Z")


def pieces(text: str) -> list[str]:
    """Words with the space before them; joined, they are the text again."""
    return _PIECE.findall(text)


class Vocabulary:
    """Gives each new piece of text the next number, so that tokens turn back into their text."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._ids: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        return [self._id(piece) for piece in pieces(text)]

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.piece(token) for token in tokens)

    def piece(self, token: int) -> str:
        return self._pieces[token] if 0 <= token < len(self._pieces) else ""

    def _id(self, piece: str) -> int:
        if piece not in self._ids:
            self._ids[piece] = len(self._pieces)
            self._pieces.append(piece)
        return self._ids[piece]
