"""What the router may cost, and what the bare relay cost on the machine where that was decided."""

import math

import msgspec

from bench.paths import OLLAMA, OPENAI, Path


class Budget(msgspec.Struct, frozen=True):
    """A limit on one figure; `reference_floor` is the bare relay's figure the limit was set against."""

    what: str
    limit: float
    unit: str
    at_least: bool = False
    reference_floor: float | None = None

    def met(self, value: float) -> bool:
        """Tell whether the value is within the limit as written."""
        return value >= self.limit if self.at_least else value <= self.limit

    def met_scaled(self, value: float, floor: float | None) -> bool:
        """Tell whether it is within the limit once the limit is scaled by how slow this machine's floor is."""
        if floor is None or self.reference_floor is None or self.at_least:
            return self.met(value)
        return value <= self.limit * max(1.0, floor / self.reference_floor)


W1_FLOOR_MS = 0.17
W2_FLOOR_MS = 0.4
W3_FLOOR_MS = 2.4
W4_FLOOR_MS = 1.5

W1_CPU = {
    OPENAI: Budget("CPU", 0.30, "ms", reference_floor=W1_FLOOR_MS),
    OLLAMA: Budget("CPU", 0.35, "ms", reference_floor=W1_FLOOR_MS),
}
W1_RATE = Budget("rate", 2500, "/s", at_least=True)
W1_ADDED_P50 = Budget("added p50", 1.2, "ms")
W1_ADDED_P99 = Budget("added p99", 5.0, "ms")

_W2_CPU = Budget("CPU", 1.0, "ms", reference_floor=W2_FLOOR_MS)
_W2_CPU_TRANSLATED = Budget("CPU", 2.0, "ms", reference_floor=W2_FLOOR_MS)
W2_WALL = Budget("wall p50", 5.0, "ms")

W3_CPU = Budget("CPU", 4.5, "ms", reference_floor=W3_FLOOR_MS)
W3_GAP = Budget("gap p99 over direct", 10.0, "ms")

W4_CPU = Budget("CPU", 2.0, "ms", reference_floor=W4_FLOOR_MS)

W7_RSS = Budget("peak memory", 110.0, "MB")

W8_CPU = Budget("W1 after / before", 1.15, "x")
W8_FDS = Budget("descriptors over", 4, "")
W8_RSS = Budget("memory over", 8.0, "MB")
W8_LEFT = Budget("backend in flight", 0, "")
W8_RELEASE = Budget("backend let go in", 100.0, "ms")

START = Budget("start to ready", 1.0, "s")
IDLE_RSS = Budget("idle memory", 80.0, "MB")

W10_CALLS = Budget("backend calls", 0, "")


def unlimited(budget: Budget, what: str) -> Budget:
    """The same figure of something else, held to nothing."""
    return Budget(f"{budget.what}, {what}", math.inf, budget.unit)


def w2_cpu(path: Path) -> Budget:
    """W2's CPU budget: another one where the router translates."""
    return _W2_CPU if path == OPENAI else _W2_CPU_TRANSLATED
