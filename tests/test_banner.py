"""What the terminal shows of a plan."""

from rich.console import Console

from router.banner import route_table
from router.canonical.models import ModelInfo, Probe
from router.routing.catalog import Alias, Catalog, Target, Terms
from router.routing.health import Health
from router.routing.plan import Plan, Wanted, plan


def planned(*, scored: bool) -> Plan:
    health = Health(("desk", "lab", "cloud"))
    for name, loaded in (("desk", False), ("lab", True)):
        health.looked(name, Probe(models=(ModelInfo(name="m", loaded=loaded),)), now=0.0, latency_s=0.01)
    alias = Alias("chat", tuple(Target(each.name, "m") for each in health), scored=scored, local_only=True)
    catalog = Catalog(("desk", "lab", "cloud"), {"chat": alias}, terms={"cloud": Terms(hosted=True)})
    return plan(Wanted("chat"), catalog, health, now=1.0, random=lambda: 0.5)


def shown(chosen: Plan) -> list[list[str]]:
    """The table's title and rows as words."""
    console = Console(width=200)
    with console.capture() as capture:
        console.print(route_table(chosen))
    return [line.replace("│", " ").replace("┃", " ").split() for line in capture.get().splitlines()]


def test_a_scored_route_shows_the_points_of_each_and_who_is_out():
    title, *rows = shown(planned(scored=True))
    assert " ".join(title) == "chosen by alias chat, loaded"
    assert ["1", "lab", "m", "ready", "70", "40", "0", "20", "10", "0"] in rows
    assert ["2", "desk", "m", "ready", "30", "0", "0", "20", "10", "0"] in rows
    assert ["cloud", "m", "out", "hosted,", "and", "the", "request", "is", "local_only"] in rows


def test_an_ordered_route_shows_no_points():
    title, *rows = shown(planned(scored=False))
    assert " ".join(title) == "chosen by alias chat"
    assert ["1", "desk", "m", "ready"] in rows
    assert not any("40" in row for row in rows)
