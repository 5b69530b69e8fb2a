"""How a pull goes, on a terminal: a bar for every layer, and what is done besides."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from router.commands.ollama.progress import Going

WIDE, MIDDLE, NARROW = 76, 60, 44
"""Columns of a terminal that have room for everything, all but the sizes, and all but the speed too."""


class Bars:
    """Shows what it is told of one pull."""

    def __init__(self, width: int) -> None:
        self._progress = Progress(*_columns(width), auto_refresh=False, expand=True)
        self._tasks: dict[str, TaskID] = {}
        self._status = Text()

    def tell(self, going: Going) -> None:
        """A layer that is seen for the first time has come that far before: its speed begins now."""
        for digest, layer in going.layers.items():
            total = layer.total or None
            if digest in self._tasks:
                self._progress.update(self._tasks[digest], total=total, completed=layer.completed)
            else:
                self._tasks[digest] = self._progress.add_task(layer.name, total=total, completed=layer.completed)
        self._status.plain = "" if going.is_about_layer else going.status

    def __rich__(self) -> Group:
        parts = (self._progress if self._tasks else None, self._status if self._status.plain else None)
        return Group(*(part for part in parts if part is not None))


@contextmanager
def bars(console: Console, *, transient: bool = False) -> Generator[Bars]:
    """Drawn until the end of the block, and gone afterwards if it is `transient`."""
    shown = Bars(console.width)
    with Live(shown, console=console, refresh_per_second=8, transient=transient):
        yield shown


def _columns(width: int) -> list[ProgressColumn]:
    columns: list[ProgressColumn] = [
        TextColumn("pulling {task.description}" if width >= WIDE else "{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
    ]
    if width >= MIDDLE:
        columns.append(DownloadColumn())
    if width >= NARROW:
        columns.append(TransferSpeedColumn())
    return [*columns, TimeRemainingColumn(compact=True)]
