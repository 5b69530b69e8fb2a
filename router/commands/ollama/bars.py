"""How a pull goes, on a terminal: a bar for every layer, and what is done besides."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
)
from rich.text import Text

from router.commands.ollama.progress import DONE, Going
from router.commands.ollama.words import size, span

WIDE, MIDDLE, NARROW = 76, 60, 44
"""Columns of a terminal that have room for everything, all but the sizes, and all but the speed too."""
_CTRL_C = 2
"""Room at the end of a line for what a terminal writes there when somebody interrupts."""


class _Speed(ProgressColumn):
    """Bytes a second, while they come."""

    def render(self, task: Task) -> Text:
        speed = None if task.finished else task.speed
        return Text("" if speed is None else f"{size(speed)}/s", style="progress.data.speed", justify="right")


class _Left(ProgressColumn):
    """How long a layer still takes."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = None if task.finished else task.time_remaining
        return Text("" if left is None else span(left), style="progress.remaining", justify="right")


class Bars:
    """Shows what it is told of one pull."""

    def __init__(self, width: int) -> None:
        self._width = max(1, width - _CTRL_C)
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
        self._status.plain = "" if going.is_about_layer or going.status == DONE else going.status

    def __rich__(self) -> Constrain:
        parts = (self._progress if self._tasks else None, self._status if self._status.plain else None)
        return Constrain(Group(*(part for part in parts if part is not None)), self._width)


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
        columns.append(_Speed())
    return [*columns, _Left()]
