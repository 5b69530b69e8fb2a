"""One candidate's turn at a request, and the work that it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from router.canonical.adapter import Attempt
from router.errors import RouterError
from router.relay.progress import Progress
from router.routing.plan import Candidate

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """`progress` is where it says how far it has come; `commit` is called when the first content is in hand.

    From then on no other candidate can take over: the others who compete are gone when it returns.
    """

    candidate: Candidate
    progress: Progress
    commit: "Callable[[Turn], None]"

    def attempt(self, shown: str, *, loading: bool) -> Attempt:
        """What the adapter is told."""
        candidate = self.candidate
        return Attempt(model=candidate.target.model, shown=shown, profile=candidate.profile, loading=loading)


class Work(Protocol[T_co]):
    """What a candidate is to do."""

    @property
    def may_compete(self) -> bool:
        """Whether two candidates may be asked at once, since the first token of either can be seen."""
        ...

    async def serve(self, turn: Turn, *, loading: bool) -> T_co:
        """Does it; raises RouterError. `loading` is whether the model has to be loaded first."""
        ...

    def goes_on(self, turn: Turn, error: RouterError) -> bool:
        """Whether another that can continue may take over although a candidate had committed itself."""
        ...
