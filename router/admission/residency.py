"""What one backend has loaded, as far as decisions and probes tell, and which models fit beside each other."""

from collections.abc import Iterable

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

    def load(self, model: str, now: float) -> None:
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
