"""`turnout ollama update`: newer versions of what is there."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json
import sys
from dataclasses import asdict, dataclass

import rich_click as click

from router.canonical.models import canonical_name, is_passed_on
from router.commands.ollama.following import PullFailed, PullLeft, Wanted, fitting, pulled
from router.commands.ollama.naming import model_name
from router.commands.ollama.places import Place, backend_option, one_place
from router.commands.ollama.progress import SHORT
from router.commands.ollama.pulling import end_left
from router.commands.ollama.words import plain
from router.commands.people import json_option
from router.commands.remote import UNREACHABLE, RouterGone, ask
from router.commands.shared import fail


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of one model; `before` and `after` are digests, None where nobody knows."""

    backend: str
    model: str
    before: str | None
    after: str | None
    error: str | None = None

    @property
    def is_new(self) -> bool:
        return self.error is None and self.before != self.after

    def __str__(self) -> str:
        if self.error is not None:
            return self.error
        name = plain(self.model)
        if not self.is_new:
            return f"{name} is up to date"
        return f"{name} is updated: {(self.before or '?')[:SHORT]} -> {(self.after or '?')[:SHORT]}"


@click.command("update")
@click.argument("names", nargs=-1, type=model_name)
@backend_option
@json_option
def update(names: tuple[str, ...], backend: str | None, *, as_json: bool) -> None:
    """Pull newer versions of the models NAMES, or of all that are there, and say what changed.

    Exit status 1 if one could not be pulled.
    """
    place = one_place(backend)
    done: list[Updated] = []
    for model in _chosen(place, names):
        try:
            done.append(_updated(place, model, as_json=as_json))
        except PullLeft as left:
            end_left(Wanted(place, model), backend, left)
        except RouterGone as gone:
            fail(str(gone), status=UNREACHABLE)
        if not as_json:
            click.echo(str(done[-1]), err=done[-1].error is not None)
    if as_json:
        click.echo(json.dumps([{**asdict(each), "updated": each.is_new} for each in done], indent=2))
    elif len(done) != 1:
        click.echo(summary(done))
    sys.exit(1 if any(each.error for each in done) else 0)


def summary(done: list[Updated]) -> str:
    """How many became what."""
    new, failed = sum(each.is_new for each in done), sum(each.error is not None for each in done)
    counts = ((new, "updated"), (len(done) - new - failed, "up to date"), (failed, "failed"))
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "there is no model to update"


def _chosen(place: Place, names: tuple[str, ...]) -> list[str]:
    """The names given, or those of all models whose weights are there."""
    there = _digests(place)
    for name in names:
        if canonical_name(name) not in there:
            fail(f"{place.name} has no {plain(name)}; to have it: turnout ollama pull NAME")
    return list(names) or [name for name, _ in there.values() if not is_passed_on(name)]


def _updated(place: Place, model: str, *, as_json: bool) -> Updated:
    """Raises PullLeft and RouterGone."""
    wanted = Wanted(place, model)
    _, before = _digests(place).get(canonical_name(model), (model, None))
    try:
        pulled(wanted, fitting(wanted, as_json=as_json, transient=True))
    except PullFailed as failed:
        return Updated(place.name, model, before, before, str(failed))
    _, after = _digests(place).get(canonical_name(model), (model, None))
    return Updated(place.name, model, before, after)


def _digests(place: Place) -> dict[str, tuple[str, str | None]]:
    """The models of a server now, each with its digest."""
    models = ask("GET", f"{place.path}/models", params={"refresh": "true"})
    return {canonical_name(model["name"]): (model["name"], model["digest"]) for model in models}
