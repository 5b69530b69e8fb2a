"""What one backend has loaded, as far as decisions and probes tell, and which models fit beside each other."""

from collections.abc import Iterable


class Residency:
    """A load is taken to push out every model that was never seen beside the new one, until a probe shows more."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()
        self.since = float("-inf")  # the last load
        self._loading: str | None = None
        self._beside: dict[str, set[str]] = {}

    def fits(self, model: str, others: Iterable[str]) -> bool:
        """Tell whether the model has been seen loaded together with each of the others."""
        beside = self._beside.get(model, ())
        return all(other in beside for other in others if other != model)

    def load(self, model: str, now: float) -> None:
        """It was decided to load the model."""
        self.loaded &= self._beside.get(model, set())
        self.loaded.add(model)
        self.since = now
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
        listed = set(models)
        for model in listed if len(listed) > 1 else ():
            self._beside.setdefault(model, set()).update(listed)
        if self._loading is not None and self._loading not in listed:
            return
        self._loading = None
        self.loaded = listed.union(running)
