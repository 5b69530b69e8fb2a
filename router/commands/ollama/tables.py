"""Tables that fit the terminal: what matters least goes first, names are never cut."""

import json
from collections.abc import Sequence
from typing import Any

import rich_click as click
from rich.console import Console

from router.commands.remote import table
from router.commands.shared import terminal


def tell(
    rows: Sequence[dict[str, Any]], drawn: Sequence[dict[str, Any]], spare: Sequence[str], *, as_json: bool
) -> None:
    """Everything as JSON, or what is `drawn` of it as a table; columns that are `spare` go first, in this order."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
    else:
        draw(drawn, spare)


def draw(rows: Sequence[dict[str, Any]], spare: Sequence[str]) -> None:
    """The rows, which all have the same columns, without those that there is no room for."""
    if not rows:
        return
    console, columns = terminal(), tuple(rows[0])
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in columns}
    kept = fitting(widths, spare, room=console.width)
    wide = Console(highlight=False, width=max(console.width, sum(widths[name] + 2 for name in kept)))
    with wide.capture() as capture:
        wide.print(table(list(rows), kept))
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def fitting(widths: dict[str, int], spare: Sequence[str], *, room: int) -> tuple[str, ...]:
    """The columns that have room beside each other, each with two spaces around it."""
    kept = list(widths)
    for name in spare:
        if sum(widths[each] + 2 for each in kept) <= room:
            break
        if name in kept:
            kept.remove(name)
    return tuple(kept)
