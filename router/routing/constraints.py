"""Who may not serve a request, and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.canonical.models import canonical_name, is_among, is_passed_on
from router.errors import ModelNotAllowed, NotLocal
from router.routing.catalog import Catalog, Target
from router.routing.health import Health

THINKING = "thinking"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A target that is out of question, whatever becomes of the others."""

    target: Target
    why: str


def is_hosted(target: Target, catalog: Catalog, health: Health) -> bool:
    """Whether a request to it would leave for somebody else's service: the backend, or a model that it passes on."""
    if catalog.terms_of(target.backend).hosted or is_passed_on(target.model):
        return True
    info = health[target.backend].model(target.model)
    return info is not None and info.hosted


def local_ones(
    targets: Sequence[Target], catalog: Catalog, health: Health
) -> tuple[tuple[Target, ...], tuple[Rejected, ...]]:
    """Those that keep a request on one's own machines, and the others. Raises NotLocal without any."""
    kept = tuple(target for target in targets if not is_hosted(target, catalog, health))
    if not kept:
        names = ", ".join(map(str, targets))
        raise NotLocal(
            f"this request may not leave the local backends (local_only), and {names} would: add a local target, or "
            "set local: true on a backend that is your own",
            param="model",
        )
    gone = tuple(Rejected(target, "hosted, and the request is local_only") for target in targets if target not in kept)
    return kept, gone


def allowed_ones(
    targets: tuple[Target, ...], alias: str, patterns: Sequence[str]
) -> tuple[tuple[Target, ...], tuple[Rejected, ...]]:
    """Those that the caller may use, and the others: all if the alias that led to them is allowed, else each by its
    name with and without the backend. What the client called it does not count. Raises ModelNotAllowed without any.
    """
    if alias and is_among((alias,), patterns):
        return targets, ()
    kept = tuple(target for target in targets if is_among((str(target), target.model), patterns))
    if not kept:
        raise ModelNotAllowed("this key may not use that model", param="model")
    return kept, tuple(Rejected(target, "the key may not use it") for target in targets if target not in kept)


def capable_ones(
    targets: tuple[Target, ...], needs: Sequence[str], health: Health
) -> tuple[tuple[Target, ...], tuple[Rejected, ...]]:
    """Those whose models can do what is needed, or may be able to, and the others.

    When none can they all stay: a look may be old, and the backend itself knows best.
    """
    kept = tuple([target for target in targets if _can(target, needs, health)])
    if not kept or len(kept) == len(targets):
        return targets, ()
    gone = (target for target in targets if target not in kept)
    return kept, tuple(Rejected(target, f"cannot do {_lacking(target, needs, health)}") for target in gone)


def _can(target: Target, needs: Sequence[str], health: Health) -> bool:
    info = health[target.backend].by_name.get(canonical_name(target.model))
    if info is None or info.capabilities is None or info.capabilities.issuperset(needs):
        return True
    return not any(info.lacks(need) for need in needs)


def _lacking(target: Target, needs: Sequence[str], health: Health) -> str:
    info = health[target.backend].model(target.model)
    return ", ".join(need for need in needs if info is not None and info.lacks(need))
