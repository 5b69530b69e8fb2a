"""What the terminal shows: tables of backends, models and routes, and snippets to begin with."""

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from router.access.keys import NewKey
from router.app import Router
from router.canonical.models import ModelInfo
from router.relay.fleet import Fleet
from router.routing.health import BackendHealth, State
from router.routing.plan import Plan
from router.routing.score import Score
from router.surfaces.explain import STATES

SHOWN_MODELS = 6
_COLOURS = {
    State.UP: "green",
    State.DOWN: "red",
    State.HALF_OPEN: "yellow",
    State.LOADING: "yellow",
    State.UNKNOWN: "dim",
}


def first_key(console: Console, made: NewKey) -> None:
    """The key to begin with; it is printed and never logged, and cannot be shown again."""
    console.print("[bold]First start.[/] This key administers Turnout, and is shown only now:")
    console.print(f"  TURNOUT_API_KEY={made.secret}")


def welcome(console: Console, router: Router, url: str, *, needs_key: bool) -> None:
    """What was found and how to use it."""
    fleet = router.fleet
    shown = [health for health in fleet.health if health.name not in fleet.optional or health.last_seen is not None]
    console.print(f"[bold]Turnout[/] listens on [bold]{url}/v1[/]")
    if shown:
        console.print(backend_table(fleet, shown))
    if not any(health.state is State.UP or health.is_trusted for health in fleet.health):
        _nothing_found(console, fleet)
        return
    model = _example_model(fleet)
    if model:
        _snippets(console, url, model, needs_key=needs_key)


def backend_table(fleet: Fleet, healths: Sequence[BackendHealth]) -> Table:
    table = Table("backend", "type", "state", "models")
    for health in healths:
        names = [model.name for model in health.models]
        more = f" and {len(names) - SHOWN_MODELS} more" if len(names) > SHOWN_MODELS else ""
        told = ", ".join(names[:SHOWN_MODELS]) + more if names else (health.last_error or "none")
        told_state = f"{health.state.value}, drained" if health.drained else health.state.value
        state = Text(told_state, style=_COLOURS[health.state])
        table.add_row(Text(health.name), fleet.adapters[health.name].kind, state, Text(told))
    return table


def model_table(fleet: Fleet) -> Table:
    table = Table("model", "leads to", "context", "size", "can", "state")
    for alias in fleet.catalog.aliases.values():
        targets = ", ".join(str(target) for target in alias.targets)
        tags = ", ".join(sorted(alias.tags))
        context = _number(alias.profile.context_length)
        table.add_row(Text(alias.name, style="bold"), Text(targets), context, "", tags, "")
    for backend in fleet.catalog.backends:
        for model in fleet.health[backend].models:
            can = ", ".join(sorted(model.capabilities or ()))
            state = {True: "loaded", False: "", None: ""}[model.loaded]
            row = (Text(model.name), Text(f"{backend}/{model.name}"), _number(model.context_length))
            table.add_row(*row, _size(model), can, state)
    return table


def route_table(plan: Plan) -> Table:
    """The candidates in order, with the points of each if they were scored, then what is out of question."""
    points = tuple(Score.__struct_fields__) if plan.pooled else ()
    scored = ("score", *points) if points else ()
    title = f"chosen by {plan.reason}"
    table = Table("order", "backend", "model", "state", *scored, "note", title=title, title_justify="left")
    for order, candidate in enumerate(plan.candidates, 1):
        target, score = candidate.target, candidate.score
        numbers = [score.total, *score.parts.values()] if score else []
        state = STATES[candidate.readiness.value]
        cells = [f"{number:g}" for number in numbers] or [""] * len(scored)
        table.add_row(str(order), Text(target.backend), Text(target.model), state, *cells, Text(candidate.note))
    for gone in plan.rejected:
        blank = [""] * len(scored)
        table.add_row("", Text(gone.target.backend), Text(gone.target.model), "out", *blank, Text(gone.why))
    return table


async def look_at_all(router: Router) -> None:
    """Looks at every backend once, side by side."""
    await asyncio.gather(*(router.prober.look(name) for name in router.fleet.adapters))


def _nothing_found(console: Console, fleet: Fleet) -> None:
    if any(health.name not in fleet.optional for health in fleet.health):
        console.print("No backend answers yet; every heartbeat looks again.")
        return
    console.print("No model server was found on this machine. Any of these will be noticed within half a minute:")
    console.print("  ollama serve                       (and: ollama pull llama3.2)")
    console.print("  llama-server -m MODEL.gguf         (port 8080)")
    console.print("  LM Studio on port 1234, vLLM on port 8000")
    console.print("Elsewhere, or with keys: write a turnout.yaml. For a tiny model right now: turnout demo")


def _snippets(console: Console, url: str, model: str, *, needs_key: bool) -> None:
    key = "YOUR_KEY" if needs_key else "unused"
    header = f' -H "Authorization: Bearer {key}"' if needs_key else ""
    console.print("\n[dim]# try it[/]")
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    console.print(Text(f"curl {url}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'"))
    console.print("\n[dim]# or from Python[/]")
    console.print(Text("from openai import OpenAI"))
    console.print(Text(f'client = OpenAI(base_url="{url}/v1", api_key="{key}")'))
    message = '{"role": "user", "content": "Hello"}'
    console.print(Text(f'answer = client.chat.completions.create(model="{model}", messages=[{message}])'))
    console.print(Text("print(answer.choices[0].message.content)"))


def _example_model(fleet: Fleet) -> str | None:
    for alias in fleet.catalog.aliases.values():
        if "embedding" not in alias.tags:
            return alias.name
    for health in fleet.health:
        for model in health.models:
            if model.capabilities is None or model.can("chat"):
                return model.name
    return None


def _size(model: ModelInfo) -> str:
    return "" if model.size is None else f"{model.size / 1e9:.1f} GB"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
