"""How a pull goes, as the router tells it, and in words. Pure: the clock is passed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from router.commands.ollama.words import plain, size, span

SHORT = 12
"""Letters of a digest that Ollama shows."""
DONE = "success"
"""Ollama's last word, which says nothing new."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of a model; sizes are bytes."""

    digest: str
    total: int
    completed: int

    @property
    def name(self) -> str:
        return plain(self.digest.rpartition(":")[2][:SHORT])

    @property
    def percent(self) -> int:
        return min(100, 100 * self.completed // self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class Going:
    """How far a pull is; `latest` is the digest of the layer that was told of last, `speed` bytes a second."""

    pull_id: str = ""
    status: str = ""
    layers: Mapping[str, Layer] = field(default_factory=dict[str, Layer])
    latest: str = ""
    speed: float | None = None

    def told(self, said: Mapping[str, Any]) -> "Going":
        """After a pull's record, or one word of it."""
        layers = said["layers"] if "layers" in said else [said] if said["digest"] else []
        known = {each["digest"]: Layer(each["digest"], each["total"] or 0, each["completed"] or 0) for each in layers}
        moved = [digest for digest, layer in known.items() if self.layers.get(digest) != layer]
        return replace(
            self,
            pull_id=said["id"],
            status=plain(said["status"]),
            layers={**self.layers, **known},
            latest=moved[-1] if moved else self.latest,
            speed=said["speed"],
        )

    @property
    def is_about_layer(self) -> bool:
        """Whether the status only says which layer it is about."""
        return any(self.status.endswith(layer.name) for layer in self.layers.values())


def layer_line(going: Going) -> str:
    """How far the latest layer is."""
    layer = going.layers[going.latest]
    rest = [f"pulling {layer.name}: {layer.percent}% of {size(layer.total)}"]
    if going.speed and layer.completed < layer.total:
        left = (layer.total - layer.completed) / going.speed
        rest += [f"{size(going.speed)}/s", f"{span(left)} left"]
    return ", ".join(rest)


class Lines:
    """What to print of a pull where there is no terminal: every new word, and layers now and then."""

    def __init__(self, *, every_s: float) -> None:
        self._every_s = every_s
        self._word = ""
        self._layer: Layer | None = None
        self._told_at: float | None = None

    def new(self, going: Going, now: float) -> list[str]:
        """The lines that are due; `now` is seconds of any clock."""
        if going.status not in {"", DONE, self._word} and not going.is_about_layer:
            self._word = going.status
            return [*self._last_of_layers(going, now), going.status]
        if not going.latest or going.layers[going.latest] == self._layer:
            return []
        is_due = self._told_at is None or now - self._told_at >= self._every_s
        return self._layer_lines(going, now) if is_due else []

    def _last_of_layers(self, going: Going, now: float) -> list[str]:
        """What was not told yet, before something else begins."""
        is_new = bool(going.latest) and going.layers[going.latest] != self._layer
        return self._layer_lines(going, now) if is_new else []

    def _layer_lines(self, going: Going, now: float) -> list[str]:
        self._layer, self._told_at = going.layers[going.latest], now
        return [layer_line(going)]
