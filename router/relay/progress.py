"""How far a request has come."""

from dataclasses import dataclass, field, replace
from typing import Literal

from router.admission.gate import Stay
from router.canonical.events import UsageReported
from router.canonical.request import ChatRequest
from router.errors import ContextLengthExceeded
from router.usage.meter import Meter
from router.usage.prompt import Count
from router.usage.record import FailedAttempt


@dataclass(slots=True)
class Progress:
    """How far a request has come: what the answer's headers say, whether it succeeds or fails.

    `sole` is whether there is only one model on one backend that may serve it, `committed` whether a backend has begun
    to answer, so that no other can take over. `usage` is what a whole answer has cost, once that is known; `meter` is
    that of the last attempt, `failed` are those that failed. `stay` is its place at a gate; `waiting` says in a few
    words what it waits for once it has left the line, until the answer begins. `request` is what is asked for, if it is
    a chat. `count` is the prompt's estimate, if one was needed; `too_long` is what to say where the candidates that it
    does not fit were left out and all others failed; `is_cut` is whether the backend cut the prompt, and `window` the
    tokens that its model has room for. `conversation` is what the backend that serves is to be remembered by, if it is
    one of several.

    `hedge` is whether a second candidate that was asked at the same time won or lost. `resumed` is how often another
    went on where a stream broke off. `out_of_budget` is whether a further attempt was wanted and not made.
    """

    id: str = ""
    operation: str = ""
    request: ChatRequest | None = None
    reason: str = ""
    chosen_by: str = ""
    conversation: int | None = None
    attempts: int = 0
    backend: str = ""
    model: str = ""
    dropped: tuple[str, ...] = ()
    warning: str = ""
    sole: bool = False
    committed: bool = False
    usage: UsageReported | None = None
    meter: Meter | None = None
    stay: Stay | None = None
    waiting: str = ""
    count: Count | None = None
    too_long: ContextLengthExceeded | None = None
    is_cut: bool = False
    window: int | None = None
    hedge: Literal["", "won", "lost"] = ""
    resumed: int = 0
    out_of_budget: bool = False
    failed: list[FailedAttempt] = field(default_factory=list[FailedAttempt])

    def waits_for(self, what: str) -> None:
        """What it waits for from now on, in a few words; nothing when they are empty."""
        self.waiting = what

    def rival(self) -> "Progress":
        """That of a second candidate which is asked at the same time; what has failed so far is one list."""
        return replace(self, waiting="", dropped=(), warning="", meter=None, stay=None)

    def taken_over(self, rival: "Progress") -> None:
        """The second candidate has won."""
        self.backend, self.model, self.dropped = rival.backend, rival.model, rival.dropped
        self.warning, self.meter, self.stay = rival.warning, rival.meter, rival.stay
        self.committed, self.waiting, self.hedge = True, "", "won"
