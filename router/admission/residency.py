"""What one backend has loaded, as far as decisions and probes tell, and which models fit beside each other."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

MAX_SIGHTS = 16


class Residency:
    """A load is taken to push out every model that was not seen beside the new one, until a probe shows more."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()
        self.since = float("-inf")  # the last load that pushed something out, or found nothing loaded
        self._loading: str | None = None
        self._sights: list[frozenset[str]] = []  # models seen loaded together, the latest last

    def fits(self, model: str, others: Iterable[str]) -> bool:
        """Tell whether the model has been seen loaded together with all the others."""
        together = {model, *others}
        return len(together) == 1 or any(together <= sight for sight in self._sights)

    def goes_for(self, model: str, running: Iterable[str]) -> AbstractSet[str]:  # noqa: ARG002
        """What a load would push out, as far as anybody can tell."""
        return self.loaded

    def used(self, model: str) -> None:
        """A request was granted that finds it loaded."""

    def load(self, model: str, now: float, running: Iterable[str]) -> None:  # noqa: ARG002
        """It was decided to load the model."""
        stay = max((self.loaded & sight for sight in self._sights if model in sight), key=len, default=set[str]())
        if not stay or len(stay) < len(self.loaded):
            self.since = now
        self.loaded = {*stay, model}
        self._loading = model

    def failed(self, model: str) -> None:
        """The request that was to load the model did not get that far."""
        self.loaded.discard(model)
        self.since = float("-inf")
        self.ended(model)

    def ended(self, model: str) -> None:
        """A request to the model ended, so it is no longer being loaded."""
        if self._loading == model:
            self._loading = None

    def seen(self, models: Iterable[str], running: Iterable[str]) -> None:
        """A probe's list. One that lacks the model being loaded is older than the load and says nothing."""
        listed = frozenset(models)
        if len(listed) > 1 and not any(listed <= sight for sight in self._sights):
            self._sights = [*(sight for sight in self._sights if not sight <= listed), listed][-MAX_SIGHTS:]
        if self._loading is not None and self._loading not in listed:
            return
        self._loading = None
        self.loaded = set(listed.union(running))


class Sharing:
    """The processes of a lane: each is one model that goes by its backend's name. Who was used longest ago goes first.

    What runs is told; what was decided is taken to come true until then.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, None] = {}  # the latest used last
        self.since = float("-inf")
        self.may_share: Callable[[AbstractSet[str]], bool] = lambda _: True
        self._running: set[str] = set()

    def fits(self, name: str, others: Iterable[str]) -> bool:
        """Tell whether it may run beside all the others."""
        return self.may_share({name, *others})

    def goes_for(self, name: str, running: Iterable[str]) -> AbstractSet[str]:
        """Who would have to go for it."""
        busy, stay = set(running), {name, *self.loaded}
        for other in self.loaded:
            if self.may_share(stay):
                break
            if other not in busy and other != name:
                stay.discard(other)
        return self.loaded.keys() - stay

    def used(self, name: str) -> None:
        """A request was granted that finds it running."""
        self.loaded[name] = self.loaded.pop(name, None)

    def load(self, name: str, now: float, running: Iterable[str]) -> None:
        """It was decided to start it."""
        gone = self.goes_for(name, running)
        if gone or not self.loaded:
            self.since = now
        self.loaded = {other: None for other in self.loaded if other not in gone}
        self.loaded[name] = None

    def failed(self, name: str) -> None:
        """The request that was to start it did not get that far."""
        if name not in self._running:
            self.loaded.pop(name, None)

    def ended(self, name: str) -> None:
        """A request to it ended."""

    def seen(self, name: str, *, is_running: bool) -> None:
        """Its process has begun, or is about to be gone."""
        if is_running:
            self._running.add(name)
            self.loaded.setdefault(name)
        else:
            self._running.discard(name)
            self.loaded.pop(name, None)
