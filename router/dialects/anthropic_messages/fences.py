"""Taking the code fence off an answer that should be bare JSON, however it is cut into pieces."""

_FENCE = "```"


class Fences:
    """Holds back what may be part of a fence until more is known."""

    def __init__(self) -> None:
        self._held = ""
        self._opened = False
        self._fenced = False

    def feed(self, text: str) -> str:
        """What can be said already."""
        self._held += text
        if not self._opened and not self._open():
            return ""
        if not self._fenced:
            said, self._held = self._held, ""
            return said
        safe = len(self._held.rstrip().rstrip("`").rstrip())
        said, self._held = self._held[:safe], self._held[safe:]
        return said

    def finish(self) -> str:
        """The rest, without the closing fence."""
        rest, self._held = self._held, ""
        if not self._fenced:
            return rest
        closed = rest.rstrip()
        return closed.removesuffix(_FENCE).rstrip() if closed.endswith(_FENCE) else rest

    def _open(self) -> bool:
        """Whether it is known how the answer begins; a fence is taken off with its line."""
        start = self._held.lstrip()
        if not start.startswith(_FENCE):
            self._opened = not _FENCE.startswith(start)
            return self._opened
        line, end, rest = start.partition("\n")
        if "{" in line:
            self._held = start[start.index("{") :]
        elif end:
            self._held = rest
        else:
            return False
        self._opened = self._fenced = True
        return True
