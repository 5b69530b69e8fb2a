"""A request at the gate: on which candidates it waits at once, as whom, and whether it could go elsewhere."""

from collections.abc import Sequence

from router.admission.claims import Claim
from router.admission.gate import Gate, Stay
from router.admission.priority import settled
from router.canonical.models import canonical_name
from router.routing.health import Health, Readiness
from router.routing.plan import Candidate, Plan, Wanted


class Visit:
    """One request with its plan; `at` is when it came, which it keeps wherever it waits."""

    __slots__ = ("_alias", "_at", "_chosen", "_gate", "_health", "_id", "_priority", "_wanted")

    def __init__(self, gate: Gate, health: Health, *, wanted: Wanted, chosen: Plan, at: float, request_id: str) -> None:
        self._gate = gate
        self._health = health
        self._wanted = wanted
        self._chosen = chosen
        self._at = at
        self._id = request_id
        alias = chosen.alias
        self._alias = alias.name if alias else ""
        self._priority = settled(wanted.caller.priority, alias.priority if alias else None, wanted.looks)

    def rivals(self, left: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Of the candidates that are left, those to wait on at once: the first to have a slot gets the request.

        All that have the model loaded, where it does not matter who answers; all, when every one is drained, since
        nobody knows which will be resumed first.
        """
        first = left[0]
        if self._health[first.target.backend].drained:
            return tuple(candidate for candidate in left if self._health[candidate.target.backend].drained)
        if len(left) == 1 or not (self._chosen.pooled and first.resident):
            return (first,)
        return tuple(candidate for candidate in left if candidate is first or self._may_stand_in(candidate))

    def stay(self, rivals: Sequence[Candidate]) -> Stay:
        """Its place in the lines of these candidates; each claim is for the rival of the same index."""
        claims = tuple(self._claim(candidate) for candidate in rivals)
        return self._gate.admit_any(claims, request=self._id, has_another=self._has_another)

    def _claim(self, candidate: Candidate) -> Claim:
        caller, target = self._wanted.caller, candidate.target
        return Claim(
            self._gate.ticket(),
            target.backend,
            canonical_name(target.model),
            caller.user,
            self._priority,
            self._at,
            self._alias,
            caller.source,
        )

    def _may_stand_in(self, candidate: Candidate) -> bool:
        is_drained = self._health[candidate.target.backend].drained
        return bool(candidate.resident) and candidate.readiness is not Readiness.DOWN and not is_drained

    def _has_another(self) -> bool:
        return any(not self._health[candidate.target.backend].drained for candidate in self._chosen.candidates)
