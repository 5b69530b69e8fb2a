"""Asking a running router over its API: `TURNOUT_URL` and `TURNOUT_API_KEY` say which and as whom."""

import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import rich_click as click

from router.commands.shared import fail, terminal

if TYPE_CHECKING:
    import httpx
    from rich.table import Table

URL, KEY = "TURNOUT_URL", "TURNOUT_API_KEY"
DEFAULT_URL = "http://127.0.0.1:7070"
TIMEOUT_S = 30.0
SILENCE_S = 120.0
"""Routers say something more often than that while there is nothing to tell."""
NO_KEY = 401
REFUSED, UNREACHABLE = 1, 3
"""Exit statuses: the router said no, or there is none."""


Event = tuple[str, dict[str, Any]]
"""Its name, and what it says."""


class RouterGone(Exception):
    """Nobody answers at the address; the message says so to a person."""


class Refused(Exception):
    """The router said no; the message is its own, and so is the code."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def ask(method: str, path: str, **sent: Any) -> Any:
    """As `asked`; a router that does not answer is the end of the command, too."""
    try:
        return asked(method, path, **sent)
    except RouterGone as gone:
        fail(str(gone), status=UNREACHABLE)


def asked(method: str, path: str, *, timeout_s: float = TIMEOUT_S, **sent: Any) -> Any:
    """The router's answer as plain values, None for an empty one; a refusal is the end of the command.

    Raises RouterGone.
    """
    import httpx

    url, headers = _where(path)
    timeout = httpx.Timeout(TIMEOUT_S, read=timeout_s)
    with _reaching():
        response = httpx.request(method, url, headers=headers, timeout=timeout, **sent)
    if not response.is_success:
        fail(_refusal(response), status=REFUSED)
    return response.json() if response.content else None


def follow(path: str, *, endless: bool, params: dict[str, Any]) -> None:
    """Prints the text that the router has there as it comes, until Ctrl-C if `endless`; ends as `ask`."""
    import httpx

    url, headers = _where(path)
    timeout = httpx.Timeout(TIMEOUT_S, read=None if endless else TIMEOUT_S)
    try:
        with _reaching(), httpx.stream("GET", url, headers=headers, params=params, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                fail(_refusal(response), status=REFUSED)
            for text in response.iter_text():
                click.echo(text, nl=False)
    except RouterGone as gone:
        fail(str(gone), status=UNREACHABLE)


@contextmanager
def listening(method: str, path: str, **sent: Any) -> Generator[Iterator[Event]]:
    """The events that the router sends there as they come; raises RouterGone, also when they break off, and Refused."""
    import httpx

    url, headers = _where(path)
    timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
    with _reaching(), httpx.stream(method, url, headers=headers, timeout=timeout, **sent) as response:
        if not response.is_success:
            response.read()
            raise Refused(_refusal(response), _code(response))
        yield _events(response.iter_bytes())


def _events(received: Iterable[bytes]) -> Iterator[Event]:
    from router.dialects.sse import Cutter, payload

    cutter = Cutter()
    for data in received:
        for event in cutter.feed(data):
            if (body := payload(event)) is not None:
                name = next((line[6:].strip() for line in event.split(b"\n") if line.startswith(b"event:")), b"")
                yield name.decode(), json.loads(body)


def _where(path: str) -> tuple[str, dict[str, str]]:
    key = os.environ.get(KEY, "").strip()
    return address() + path, {"Authorization": f"Bearer {key}"} if key else {}


def address() -> str:
    """Where the router is; no slash at the end."""
    return (os.environ.get(URL, "").strip() or DEFAULT_URL).rstrip("/")


@contextmanager
def _reaching() -> Generator[None]:
    """Raises RouterGone."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RouterGone(f"no router answers at {address()} ({type(error).__name__}); set {URL}") from None


def show(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    """A table of some columns, or everything as JSON."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    terminal().print(table(rows, columns))


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> "Table":
    """Some columns of each row."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*(column.replace("_", " ") for column in columns), box=None, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(_told(row[column])) for column in columns))
    return drawn


def _told(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_told(each) for each in cast("list[Any]", value))
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _refusal(response: "httpx.Response") -> str:
    try:
        told = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"the answer was {response.status_code} and not from a router"
    missing = f"; set {KEY}" if response.status_code == NO_KEY else ""
    return f"{told}{missing}"


def _code(response: "httpx.Response") -> str:
    try:
        return str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""
