"""`turnout status`: how a running router is, once or as a table that keeps up."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import sys
from contextlib import suppress
from time import sleep, strftime
from typing import Any

import rich_click as click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from router.commands.people import json_option
from router.commands.remote import RouterGone, ask, asked, table
from router.commands.shared import fail, terminal

_COLUMNS = (
    "name", "state", "selected_model", "models", "in_flight", "queue", "latency_ms", "drained", "last_error",
)  # fmt: skip
_BACKENDS, _QUEUE = "/api/backends/status", "/v1/router/queue"


@click.command()
@click.option("--watch", is_flag=True, help="Keep the table up to date until Ctrl-C.")
@click.option(
    "--every", type=click.FloatRange(0.2, 3600), default=1.0, show_default=True, help="Seconds, with --watch."
)
@json_option
def status(*, watch: bool, every: float, as_json: bool) -> None:
    """Show every backend, what runs there and who waits."""
    if watch and (as_json or not sys.stdout.isatty()):
        fail("--watch draws on a terminal; without it, --json is for programs", status=2)
    if as_json:
        click.echo(json.dumps({"backends": ask("GET", _BACKENDS), "queue": ask("GET", _QUEUE)}, indent=2))
    elif watch:
        with suppress(KeyboardInterrupt):
            _watch(every)
    else:
        terminal().print(_drawn(ask("GET", _BACKENDS), ask("GET", _QUEUE)))


def _watch(every_s: float) -> None:
    """Whatever the router says is drawn anew; one that does not answer is waited for."""
    with Live(console=terminal(), auto_refresh=False, screen=False) as live:
        while True:
            try:
                drawn = _drawn(asked("GET", _BACKENDS), asked("GET", _QUEUE))
            except RouterGone as gone:
                drawn = Group(Text(f"{strftime('%H:%M:%S')}  {gone}"))
            live.update(drawn, refresh=True)
            sleep(every_s)


def _drawn(backends: list[dict[str, Any]], queue: dict[str, Any]) -> Group:
    head = f"{strftime('%H:%M:%S')}  {queue['in_flight']} in flight, {queue['waiting']} waiting"
    return Group(Text(head), table(backends, _COLUMNS))
