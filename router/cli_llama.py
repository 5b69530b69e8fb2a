"""`turnout llama`: the llama.cpp processes of a running router, over its API."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import rich_click as click

from router.config import ConfigError, find, load
from router.settings import Settings

if TYPE_CHECKING:
    import httpx

    from router.surfaces.llama import ProcessReport

POLL_S = 0.3
TIMEOUT_S = 10.0
KEY_HEADER = "Authorization"
PIPE_WIDTH = 200
_GIB = 1024**3


@click.group()
@click.option(
    "--config", type=click.Path(path_type=Path), help="The settings file of the router. Default: as for serve"
)
@click.option("--url", envvar="TURNOUT_URL", help="Where the router is. Default: where its settings say.")
@click.option("--key", envvar="TURNOUT_KEY", help="A key of it. Default: the first one in its settings.")
@click.pass_context
def llama(context: click.Context, config: Path | None, url: str | None, key: str | None) -> None:
    """The llama.cpp processes that a running router has: list, start, stop, logs."""
    settings = _settings(config)
    keys = settings.auth.api_keys
    key = key or (keys[0].key.get_secret_value() if keys else None)
    context.obj = (url or _address(settings), {KEY_HEADER: f"Bearer {key}"} if key else {})


@llama.command(name="list")
@click.pass_obj
def list_(router: Any) -> None:
    """What may run, what does, and what its model is."""
    from rich.console import Console

    with _asking(router) as client:
        found = _processes(client)
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, soft_wrap=True, width=width).print(_table(found))


@llama.command()
@click.argument("name")
@click.pass_obj
def start(router: Any, name: str) -> None:
    """Start NAME and wait until it is ready. Ctrl-C leaves it starting."""
    with _asking(router) as client:
        report = _decoded(client.post(f"/v1/router/llama/{name}/start"))
        since, told = report.crashes, ""
        while report.state != "ready":
            if report.state == "crashed" or report.crashes > since:
                _fail(f"{name} {report.error}; see: turnout llama logs {name}")
            words = report.state if report.percent is None else f"{report.state} {report.percent}%"
            if words != told:
                click.echo(words)
            told = words
            time.sleep(POLL_S)
            report = _one(client, name)
    click.echo(f"{name} is ready")


@llama.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also while requests use it, which are cut off.")
@click.pass_obj
def stop(router: Any, name: str, *, force: bool) -> None:
    """Stop NAME and wait until it is gone. The next request for it starts it again."""
    with _asking(router) as client:
        report = _decoded(client.post(f"/v1/router/llama/{name}/stop", params={"force": force}))
        while report.state == "stopping":
            time.sleep(POLL_S)
            report = _one(client, name)
    click.echo(f"{name} is {report.state}")


@llama.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("-n", "--lines", default=100, type=click.IntRange(0, 2000), help="How many lines to begin with.")
@click.pass_obj
def logs(router: Any, name: str, *, follow: bool, lines: int) -> None:
    """What NAME has printed."""
    with _asking(router) as client:
        asked = {"lines": lines, "follow": follow}
        timeout = None if follow else TIMEOUT_S
        with client.stream("GET", f"/v1/router/llama/{name}/logs", params=asked, timeout=timeout) as answer:
            if answer.status_code != 200:
                answer.read()
                _refused(answer)
            for text in answer.iter_text():
                click.echo(text, nl=False)


def _table(found: "list[ProcessReport]") -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table("backend", "state", "model", "kind", "context", "memory", "requests", "note")
    for each in found:
        can = ", ".join(filter(None, (each.architecture, each.quantization, "vision" if each.vision else "")))
        context = "" if each.context_length is None else f"{each.context_length:,}"
        memory = f"{'' if each.measured else 'about '}{each.memory / _GIB:.1f} GiB"
        state = each.state if each.percent is None else f"{each.state} {each.percent}%"
        note = each.error or ("always" if each.when == "always" else "")
        cells = (each.backend, state, each.model, can, context, memory, str(each.requests), note)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _processes(client: "httpx.Client") -> "list[ProcessReport]":
    from router.surfaces.llama import ProcessList

    answer = client.get("/v1/router/llama")
    _checked(answer)
    return msgspec.json.decode(answer.content, type=ProcessList).processes


def _one(client: "httpx.Client", name: str) -> "ProcessReport":
    return next(each for each in _processes(client) if each.backend == name)


def _decoded(answer: "httpx.Response") -> "ProcessReport":
    from router.surfaces.llama import ProcessReport

    _checked(answer)
    return msgspec.json.decode(answer.content, type=ProcessReport)


def _checked(answer: "httpx.Response") -> None:
    if not answer.is_success:
        _refused(answer)


def _refused(answer: "httpx.Response") -> NoReturn:
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the router answered with status {answer.status_code}"
    _fail(message)


@contextmanager
def _asking(router: tuple[str, dict[str, str]]) -> "Generator[httpx.Client]":
    """A client of the router; nobody there, or Ctrl-C, is told in one line."""
    import httpx

    url, headers = router
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
            yield client
    except httpx.TransportError:
        _fail(f"no router answers at {url}: is it running? --url says where it is")
    except KeyboardInterrupt:
        sys.exit(130)


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def _settings(config: Path | None) -> Settings:
    path = config or find(os.environ, Path())
    try:
        return Settings() if path is None else load(path, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(1)


def _fail(message: str) -> NoReturn:
    click.echo(f"turnout: {message}", err=True)
    sys.exit(1)
