"""The tables a person reads, and the JSON a program reads."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.results import Check, Figure, Report, Row

WIDTH = 190
BUSY = 0.9
CROWDED = 0.15  # cores
SAID = 3  # lines
WHOLE = 100  # from here on, no decimals
VERDICTS = {"yes": "[green]yes[/]", "scaled": "[yellow]scaled[/]", "no": "[red]NO[/]"}
COLUMNS = (
    ("CPU ms", "right"),
    ("us/chunk", "right"),
    ("floor ms", "right"),
    ("ratio", "right"),
    ("per s (floor)", "right"),
    ("latency ms (floor)", "left"),
    ("budget", "left"),
    ("errors", "left"),
)


def show(report: Report) -> None:
    """Print the tables and the notes."""
    plain = Console()
    console = plain if plain.is_terminal and plain.width >= WIDTH else Console(width=WIDTH)
    table = Table("work", "path", title="CPU per request (W1) or per stream (W2, W3, W8)", title_justify="left")
    for name, justify in COLUMNS:
        table.add_column(name, justify=justify, no_wrap=name != "errors")
    for row in report.rows:
        table.add_row(*_cells(row))
    console.print(table)
    console.print(_process(report))
    for note in _notes(report):
        console.print(note, highlight=False, markup=False)


def save(report: Report, path: Path) -> None:
    """Write the report as JSON; a figure that is missing is null."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def _cells(row: Row) -> list[str]:
    rate = _number(row.per_s, 0) + ("" if math.isnan(row.floor_per_s) else f" ({_number(row.floor_per_s, 0)})")
    return [
        row.work,
        row.path,
        _number(row.cpu_ms, 3),
        _number(row.chunk_us, 1),
        _number(row.floor_ms, 3),
        _number(row.ratio, 2),
        rate,
        "\n".join(_figure(figure) for figure in row.latency),
        "\n".join(_check(check) for check in row.checks),
        _errors(row.errors) + (f"\nfloor: {_errors(row.floor_errors)}" if row.floor_errors else ""),
    ]


def _process(report: Report) -> Table:
    table = Table("router process", "value", "budget", "met", title_justify="left")
    for check in report.process:
        value = f"{_short(check.value)} {check.budget.unit}"
        limit = f"{check.budget.limit:g} {check.budget.unit}"
        table.add_row(check.budget.what, value, limit, VERDICTS[check.verdict])
    return table


def _notes(report: Report) -> Sequence[str]:
    notes = [f"Whole run {report.elapsed_s:.0f} s; the floor's own memory {report.floor_rss_mb:.0f} MB."]
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


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _short(value: float) -> str:
    return _number(value, 2 if abs(value) < WHOLE else 0)


def _figure(figure: Figure) -> str:
    return f"{figure.name} {_number(figure.router, 2)} ({_number(figure.floor, 2)})"


def _check(check: Check) -> str:
    budget = check.budget
    bound = f"{'>=' if budget.at_least else '<='} {budget.limit:,g} {budget.unit}"
    return f"{VERDICTS[check.verdict]} {budget.what} {_short(check.value)} {bound}"


def _errors(errors: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in errors.items()) or "0"
