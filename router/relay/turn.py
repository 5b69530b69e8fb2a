"""One candidate's turn at a request, and the work that it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from router.canonical.adapter import Adapter
from router.errors import RouterError
from router.relay.progress import Progress
from router.routing.plan import Candidate

T_co = TypeVar("T_co", covariant=True)


@dataclass(slots=True)
class Turn:
    """`progress` is where it says how far it has come; `commit` is called when the first content is in hand.

    From then on no other candidate can take over: the others who compete are gone when it returns. `rivals` are the
    candidates in whose lines it waits, `candidate` the one that has the request and `adapter` the way there. `began` is
    when that was asked for a stream, and `served` whether it began to answer.
    """

    rivals: "Sequence[Candidate]"
    progress: Progress
    commit: "Callable[[Turn], None]"
    candidate: Candidate = field(init=False)
    adapter: Adapter = field(init=False)
    began: float | None = None
    served: bool = False

    def __post_init__(self) -> None:
        self.goes_to(self.rivals[0])

    def goes_to(self, candidate: Candidate) -> None:
        """This one of the rivals has the request, or is to have it first."""
        self.candidate = candidate
        target, progress = candidate.target, self.progress
        progress.backend, progress.model, progress.dropped = target.backend, target.model, ()


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
