"""Sizes, times and rates as people read them. Pure."""

import re
from datetime import UTC, datetime

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_FOR_EVER_S = 100 * 365 * 86_400
_IN_LINES = re.compile(r"[^\n\t]+")


def size(count: float | None) -> str:
    """Bytes, in thousands as Ollama counts them."""
    if count is None:
        return "-"
    amount, unit = float(max(count, 0)), 0
    while round(amount, 1) >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = 0 if unit == 0 or amount >= 99.95 else 1
    return f"{amount:.{digits}f} {_UNITS[unit]}"


def date(seconds: float | None) -> str:
    """The day, where this machine is, of seconds since 1970."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d")


def span(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return "-"
    if seconds >= _FOR_EVER_S:
        return "for ever"
    minutes, s = divmod(round(max(seconds, 0)), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    parts = [(days, "d"), (h, "h"), (m, "min"), (s, "s")]
    first = next((position for position, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or first == 3)


def plain(text: str) -> str:
    """Without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def plain_lines(text: str) -> str:
    """As `plain`, of a text that has lines and tabs."""
    return _IN_LINES.sub(lambda part: plain(part[0]), text.replace("\r\n", "\n"))
