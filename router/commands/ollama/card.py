"""A model in all its details, on a screen or less."""

from collections.abc import Iterator
from typing import Any, cast

from rich.text import Text

from router.commands.ollama.words import date, plain, size

LICENSE_LINES = 2
TEMPLATE_LINES = 12
_WIDTH = 14


def card_lines(card: dict[str, Any]) -> Iterator[Text]:
    """What to print of it; the license and a long template only as they begin."""
    yield Text(f"{plain(card['name'])} on {card['backend']}", style="bold")
    for name, told in _facts(card):
        yield Text(f"  {name:<{_WIDTH}}{told}")
    yield from _listed("parameters", [f"{key:<{_WIDTH}}{_value(value)}" for key, value in card["parameters"].items()])
    yield from _listed("system", _lines(card["system"]), most=TEMPLATE_LINES)
    yield from _listed("template", _lines(card["template"]), most=TEMPLATE_LINES, whole="--template")
    yield from _listed("license", _lines(card["license"]), most=LICENSE_LINES, whole="--license")


def _facts(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    context, trained = card["context"], card["trained_context"]
    of = f" of {trained:,}" if trained and trained != context else ""
    facts = {
        "family": card["family"],
        "parameters": card["parameter_size"],
        "quantization": card["quantization"],
        "size": size(card["size"]) if card["size"] is not None else None,
        "context": None if context is None else f"{context:,}{of} tokens",
        "embedding": f"{card['embedding_length']:,} numbers" if card["embedding_length"] else None,
        "can": ", ".join(card["capabilities"] or ()),
        "modified": date(card["modified"]) if card["modified"] else None,
        "loaded": {True: "yes", False: "no"}.get(card["loaded"]),
    }
    yield from ((name, plain(told)) for name, told in facts.items() if told)


def _listed(name: str, lines: list[str], *, most: int = 1000, whole: str = "") -> Iterator[Text]:
    if not lines:
        return
    yield Text(f"\n{name}", style="bold")
    yield from (Text(f"  {line}") for line in lines[:most])
    if (left := len(lines) - most) > 0:
        more = f"; {whole} prints all" if whole else ""
        yield Text(f"  ... {left} more lines{more}", style="dim")


def _lines(text: str | None) -> list[str]:
    return [plain(line.expandtabs(4).rstrip()) for line in (text or "").strip().split("\n") if line.strip()]


def _value(value: Any) -> str:
    told = ", ".join(map(repr, cast("list[Any]", value))) if isinstance(value, list) else str(value)
    return plain(told)
