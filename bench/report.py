"""The tables a person reads, and the JSON a program reads."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

from bench.results import Check, Figure, Peer, Report, Row

WIDTH = 208
PEER_WIDTH = 60
BUSY = 0.9
CROWDED = 0.15  # cores
SAID = 3  # lines
WHOLE = 100  # from here on, no decimals
VERDICTS = {"yes": "[green]yes[/]", "scaled": "[yellow]scaled[/]", "no": "[red]NO[/]"}
Justify = Literal["left", "right"]
COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("work", "left"),
    ("path", "left"),
    ("CPU ms", "right"),
    ("us/chunk", "right"),
    ("floor ms", "right"),
    ("ratio", "right"),
    ("peer ms", "right"),
    ("peer ratio", "right"),
    ("per s (floor)", "right"),
    ("ms, or as named (floor)", "left"),
    ("budget", "left"),
    ("errors", "left"),
)


def show(report: Report) -> None:
    """Print the tables and the notes."""
    plain = Console()
    width = WIDTH if report.peer is None else WIDTH + PEER_WIDTH
    console = plain if plain.is_terminal and plain.width >= width else Console(width=width)
    table = Table(title="CPU per request, or per stream (W2, W3, W7, W8)", title_justify="left")
    for name, justify in _columns(report):
        table.add_column(name, justify=justify, no_wrap=name != "errors")
    for row in report.rows:
        table.add_row(*_cells(row, with_peer=report.peer is not None))
    console.print(table)
    console.print(_process(report))
    for note in _notes(report):
        console.print(note, highlight=False, markup=False)


def _columns(report: Report) -> Sequence[tuple[str, Justify]]:
    return [column for column in COLUMNS if report.peer is not None or not column[0].startswith("peer")]


def save(report: Report, path: Path) -> None:
    """Write the report as JSON; a figure that is missing is null."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def _cells(row: Row, *, with_peer: bool) -> list[str]:
    beside = [_number(row.peer_ms, 3), _number(row.peer_ratio, 2)] if with_peer else []
    return [
        row.work,
        row.path,
        _number(row.cpu_ms, 3),
        _number(row.chunk_us, 1),
        _number(row.floor_ms, 3),
        _number(row.ratio, 2),
        *beside,
        _beside(row.per_s, row.floor_per_s, row.peer_per_s, digits=0),
        "\n".join(_figure(figure) for figure in row.figures),
        "\n".join(_check(check) for check in row.checks),
        "\n".join(_all_errors(row)),
    ]


def _beside(router: float, floor: float, peer: float, *, digits: int) -> str:
    """The router's figure, the floor's in round brackets, the peer's in square ones."""
    shown = _number(router, digits)
    if not math.isnan(floor):
        shown += f" ({_number(floor, digits)})"
    return shown if math.isnan(peer) else f"{shown} \\[{_number(peer, digits)}]"


def _all_errors(row: Row) -> Sequence[str]:
    lines = [_errors(row.errors)]
    if row.floor_errors:
        lines.append(f"floor: {_errors(row.floor_errors)}")
    if row.peer_errors:
        lines.append(f"peer: {_errors(row.peer_errors)}")
    return lines


def _process(report: Report) -> Table:
    table = Table("router process", "value", "budget", "met", title_justify="left")
    for check in report.process:
        value = f"{_short(check.value)} {check.budget.unit}"
        held = not math.isinf(check.budget.limit)
        limit = f"{check.budget.limit:g} {check.budget.unit}" if held else "-"
        table.add_row(check.budget.what, value, limit, VERDICTS[check.verdict] if held else "-")
    return table


def _notes(report: Report) -> Sequence[str]:
    memory = f"floor {report.floor_rss_mb:.0f} MB, router at most {report.router_peak_mb:.0f} MB"
    notes = [f"Whole run {report.elapsed_s:.0f} s; memory over all works: {memory}."]
    if report.peer:
        notes.extend(_of_peer(report.peer))
    if report.others_cores > CROWDED:
        notes.append(
            f"Others used {report.others_cores:.1f} cores meanwhile: trust no latency and no 'per s' of this run."
        )
    if any(check.verdict == "scaled" for row in report.rows for check in row.checks):
        notes.append("scaled: over the budget as written, within it times (floor here / floor where budgets were set).")
    if report.said:
        notes.append(f"The router wrote {len(report.said)} lines to stderr, the last of them:")
        notes.extend(f"  {line}" for line in report.said[-SAID:])
    busy = [row for row in report.rows if row.client_busy > BUSY]
    notes.extend(
        f"{row.work}, {row.path}: client {row.client_busy:.0%} busy; 'per s' is its limit too." for row in busy
    )
    return notes


def _of_peer(peer: Peer) -> Sequence[str]:
    if peer.failure:
        return [f"The peer did not run: {peer.failure}"]
    memory = f"idle {_number(peer.idle_mb, 0)} MB, peak {_number(peer.peak_mb, 0)} MB"
    notes = [f"In square brackets the peer, {peer.command}: first answer after {_short(peer.ready_s)} s, {memory}."]
    if math.isnan(peer.peak_mb):
        notes.append("The peer ended before the works did.")
    return [*notes, *(f"The peer answered nothing on the path {path}." for path in peer.silent)]


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _short(value: float) -> str:
    return _number(value, 2 if abs(value) < WHOLE else 0)


def _figure(figure: Figure) -> str:
    return f"{figure.name} {_beside(figure.router, figure.floor, figure.peer, digits=2)}"


def _check(check: Check) -> str:
    budget = check.budget
    bound = f"{'>=' if budget.at_least else '<='} {budget.limit:,g} {budget.unit}"
    return f"{VERDICTS[check.verdict]} {budget.what} {_short(check.value)} {bound}"


def _errors(errors: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in errors.items()) or "0"
