"""Which backends may serve a request, in which order, and why. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from router.canonical.models import canonical_name, is_among
from router.canonical.request import Profile
from router.routing.affinity import Affinity
from router.routing.catalog import Alias, Catalog, Target
from router.routing.choice import NO_PROFILE, Choice, Scene
from router.routing.constraints import THINKING, Rejected, allowed_ones, capable_ones, local_ones
from router.routing.health import BackendHealth, Health, Readiness
from router.routing.preferred import choose_for
from router.routing.score import Score, Standing, scores, words
from router.routing.speed import Speeds
from router.routing.wanted import Wanted

UNTOLD_PARALLEL = 32
_RANK_DOWN = 2


class Candidate(Struct, frozen=True):
    """A model on a backend that may serve the request, with what its alias adds.

    In a pool it has a `score`, and `resident` says whether its model is loaded, if the backend tells. Nothing new
    should go to one that is `drained`.
    """

    target: Target
    profile: Profile = NO_PROFILE
    readiness: Readiness = Readiness.READY
    note: str = ""
    resident: bool | None = None
    score: Score | None = None
    drained: bool = False


class Plan(Struct, frozen=True):
    """Candidates in the order to try them.

    `chosen_by` says in a few words how the model was found, `reason` also why the first candidate is the first.
    `alias` is the one that led to them, if one did. `pooled` candidates are equals that were scored. `conversation` is
    what the one that serves is remembered by. `pull` is what has to be fetched before anybody is asked.
    """

    candidates: tuple[Candidate, ...]
    reason: str
    chosen_by: str = ""
    rejected: tuple[Rejected, ...] = ()
    pooled: bool = False
    conversation: int | None = None
    alias: Alias | None = None
    pull: Target | None = None


def _nobody_waits(_: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Experience:
    """What was learned from requests; `waiting` is how many wait for a backend just now."""

    affinity: Affinity = field(default_factory=Affinity)
    speeds: Speeds = field(default_factory=Speeds)
    waiting: Callable[[str], int] = _nobody_waits


_NONE = Experience()


def plan(
    wanted: Wanted,
    catalog: Catalog,
    health: Health,
    *,
    now: float,
    random: Callable[[], float],
    experience: Experience = _NONE,
) -> Plan:
    """The candidates for a request.

    Raises UnknownModel when no name leads anywhere, NoBackend when nobody can know, ModelNotAllowed when the caller may
    use none of them, NotLocal when the request must stay on local backends and there is none for it.

    Ready backends come first, then those that load their only model, then those that are down: with everything down,
    everything is tried. What is drained comes last of all. Within that, targets keep their order, but in a pool (one
    model on several backends, or a scored alias) the best score comes first, ties by `random`.
    """
    scene = Scene(catalog, health, now, wanted.caller.local_only, wanted.caller.user_id)
    choice = choose_for(wanted, scene)
    asking = _Asking(wanted, scene, random, experience)
    chosen = _planned(choice, asking)
    return _with_last(chosen, choice, asking) if choice.last else chosen


def _planned(choice: Choice, asking: "_Asking") -> Plan:
    wanted, scene = asking.wanted, asking.scene
    catalog, health = scene.catalog, scene.health
    targets, rejected = choice.targets, ()
    if wanted.caller.models is not None:
        targets, rejected = allowed_ones(targets, choice.alias.name if choice.alias else "", wanted.caller.models)
    if choice.local_only or scene.local_only:
        targets, hosted = local_ones(targets, catalog, health)
        rejected += hosted
    if len(targets) == 1:
        return _ordered(choice, targets, rejected, scene)
    needs = wanted.capabilities
    if not choice.is_pool:  # whose order is a person's: effort is dropped and said so rather than another model taken
        needs = tuple(need for need in needs if need != THINKING)
    targets, incapable = capable_ones(targets, needs, health)
    rejected += incapable
    if choice.is_pool:
        return _pooled(choice, targets, rejected, asking)
    return _ordered(choice, targets, rejected, scene)


def _with_last(chosen: Plan, choice: Choice, asking: "_Asking") -> Plan:
    """Adds those that are only asked while no other is up, as far as the caller may use them."""
    scene, allowed = asking.scene, asking.wanted.caller.models
    more = [
        _candidate(target, NO_PROFILE, scene)
        for target in choice.last
        if scene.may_use(target) and (allowed is None or is_among((str(target), target.model), allowed))
    ]
    if not more:
        return chosen
    candidates = chosen.candidates
    at = sum(_rank(candidate) < _RANK_DOWN for candidate in candidates)
    if at == 0 and _rank(more[0]) < _RANK_DOWN:
        reason = f"{chosen.chosen_by}, Claude while local is down"
        return replace(chosen, candidates=(*more, *candidates), reason=reason)
    return replace(chosen, candidates=(*candidates[:at], *more, *candidates[at:]))


def _ordered(choice: Choice, targets: Sequence[Target], rejected: tuple[Rejected, ...], scene: Scene) -> Plan:
    candidates = [_candidate(target, choice.profile, scene) for target in targets]
    if len(candidates) > 1:
        candidates.sort(key=_rank)
    return Plan(tuple(candidates), choice.reason, choice.reason, rejected, alias=choice.alias)


def _candidate(target: Target, profile: Profile, scene: Scene) -> Candidate:
    state = scene.health[target.backend]
    readiness, note = _readiness(state, canonical_name(target.model), scene.now)
    return Candidate(target, profile, readiness, note, drained=state.drained)


def _readiness(state: BackendHealth, model: str, now: float) -> tuple[Readiness, str]:
    """Whether it may be asked, and if not as usual, why."""
    if model in state.missing:
        return Readiness.DOWN, "the backend said it does not have this model"
    readiness = state.readiness(now)
    if readiness is Readiness.READY or state.drained:
        return readiness, "drained" if state.drained else ""
    if readiness is Readiness.TRIAL:
        return readiness, "was down, one request may try it"
    return readiness, state.last_error or "down"


def _rank(candidate: Candidate) -> int:
    if candidate.drained:
        return 3
    readiness = candidate.readiness
    return _RANK_DOWN if readiness is Readiness.DOWN else 1 if readiness is Readiness.LOADING else 0


class _Asking(Struct, frozen=True):
    """A request for a pool, and what its targets are judged by."""

    wanted: Wanted
    scene: Scene
    random: Callable[[], float]
    experience: Experience


def _pooled(choice: Choice, targets: Sequence[Target], rejected: tuple[Rejected, ...], asking: _Asking) -> Plan:
    conversation = served = None
    if asking.wanted.messages:
        conversation, served = asking.experience.affinity.of(asking.wanted.model, asking.wanted.messages)
    now, health = asking.scene.now, asking.scene.health
    states = [(health[target.backend], canonical_name(target.model)) for target in targets]
    standings = [
        _standing(state, model, asking, target=target, knows=target == served)
        for (state, model), target in zip(states, targets, strict=True)
    ]
    judged: list[_Judged] = []
    for (state, model), target, standing, score in zip(states, targets, standings, scores(standings), strict=True):
        readiness, note = _readiness(state, model, now)
        candidate = Candidate(target, choice.profile, readiness, note, standing.resident, score, state.drained)
        judged.append((_rank(candidate), -score.total, asking.random(), candidate, standing, score))
    judged.sort(key=_order)
    candidates = tuple(each[3] for each in judged)
    reason = ", ".join((choice.reason, *_why(judged)))
    return Plan(
        candidates,
        reason,
        choice.reason,
        rejected,
        pooled=True,
        conversation=conversation,
        alias=choice.alias,
    )


_Judged = tuple[int, float, float, Candidate, Standing, Score]


def _order(judged: _Judged) -> tuple[int, float, float]:
    return judged[:3]


def _why(judged: Sequence[_Judged]) -> tuple[str, ...]:
    """What puts the first before the second, of those that are as ready."""
    first = judged[0]
    second = judged[1] if len(judged) > 1 and judged[1][0] == first[0] else None
    return words(first[4], first[5], second[5] if second else None)


def _standing(state: BackendHealth, model: str, asking: _Asking, *, target: Target, knows: bool) -> Standing:
    backend, terms = target.backend, asking.scene.catalog.terms_of(target.backend)
    speed = asking.experience.speeds.of(target)
    return Standing(
        state.has_loaded(model, asking.scene.now),
        knows,
        state.in_flight + state.others + asking.experience.waiting(backend),
        terms.max_parallel or state.slots or UNTOLD_PARALLEL,
        terms.weight,
        None if speed is None else speed.answer_s,
    )
