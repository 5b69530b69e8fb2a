"""One pull that is under way, for those who follow it."""

import asyncio
from copy import copy

from router.errors import InternalError, RouterError
from router.pulls.state import Pull


class Run:
    """`changed` is set whenever there is something new to see, and is another event from then on: whoever follows is
    shown what is so by then, and never holds up the pull. `was_heard_of`: its server has said a word of it.
    """

    def __init__(self, pull: Pull, *, for_request: bool = False) -> None:
        self.pull = pull
        self.for_request = for_request
        self.was_heard_of = False
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def become(self, pull: Pull) -> None:
        self.pull = pull
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    @property
    def failure(self) -> RouterError:
        """Why it has failed, anew for everybody who is told."""
        return copy(self.pull.error or InternalError("the pull ended without a word"))
