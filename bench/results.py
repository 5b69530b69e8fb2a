"""What a bench run found: one row per work and path, each held to its budgets."""

import math
from collections import Counter
from typing import Literal

import msgspec

from bench.budgets import Budget

Verdict = Literal["yes", "scaled", "no"]


class Check(msgspec.Struct, frozen=True):
    """One value held to one budget; `floor` is the bare relay's value in this run, when there is one."""

    budget: Budget
    value: float
    floor: float | None = None

    @property
    def verdict(self) -> Verdict:
        """`scaled`: over the limit as written, within it once scaled to this machine's floor."""
        if self.budget.met(self.value):
            return "yes"
        return "scaled" if self.budget.met_scaled(self.value, self.floor) else "no"


class Figure(msgspec.Struct, frozen=True):
    """A latency in milliseconds, or what the name says; `direct` was subtracted, where it was measured."""

    name: str
    router: float
    floor: float = math.nan
    peer: float = math.nan
    direct: float = math.nan


class Row(msgspec.Struct, kw_only=True):
    """One work on one path; CPU in milliseconds per request or per stream, medians over the rounds."""

    work: str
    path: str
    cpu_ms: float = math.nan
    chunk_us: float = math.nan
    floor_ms: float = math.nan
    peer_ms: float = math.nan
    ratio: float = math.nan
    peer_ratio: float = math.nan
    per_s: float = math.nan
    floor_per_s: float = math.nan
    peer_per_s: float = math.nan
    figures: list[Figure] = []
    checks: list[Check] = []
    errors: Counter[str] = msgspec.field(default_factory=Counter)
    floor_errors: Counter[str] = msgspec.field(default_factory=Counter)
    peer_errors: Counter[str] = msgspec.field(default_factory=Counter)
    client_busy: float = 0.0


class Peer(msgspec.Struct, kw_only=True):
    """What stood in the router's place for comparison; `silent` are the paths on which it never answered."""

    command: str
    ready_s: float = math.nan
    idle_mb: float = math.nan
    peak_mb: float = math.nan
    silent: list[str] = []
    failure: str = ""


class Report(msgspec.Struct, kw_only=True):
    """A whole run; memory in MB, times in seconds.

    `others_cores` is what the rest of the machine used meanwhile, at worst; `said` the lines routers wrote to stderr.
    """

    rows: list[Row] = []
    process: list[Check] = []
    router_peak_mb: float = 0.0
    floor_rss_mb: float = 0.0
    elapsed_s: float = 0.0
    others_cores: float = 0.0
    said: list[str] = []
    peer: Peer | None = None
