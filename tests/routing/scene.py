"""What the routing tests are played on: three backends, a few aliases, a clock that a test moves by hand."""

from collections.abc import Iterable, Mapping

from router.canonical.models import ModelInfo, Probe
from router.canonical.request import Profile
from router.routing.catalog import Alias, Catalog, Target
from router.routing.health import Health
from router.routing.plan import Plan, Wanted, plan

NOW = 1_000.0

MODELS: Mapping[str, tuple[ModelInfo, ...]] = {
    "desk": (
        ModelInfo(name="llama3.2:latest", capabilities=frozenset({"chat", "tools"}), loaded=False),
        ModelInfo(name="qwen2.5-coder:32b", capabilities=frozenset({"chat"}), loaded=True),
        ModelInfo(name="nomic-embed-text:latest", capabilities=frozenset({"embedding"})),
    ),
    "coder": (ModelInfo(name="smollm2", capabilities=frozenset({"chat"}), loaded=True),),
    "lab": (
        ModelInfo(name="llava", capabilities=frozenset({"chat", "vision"})),
        ModelInfo(name="llama3.2"),
        ModelInfo(name="hf.co/org/repo:q4"),
    ),
}


def alias(name: str, *targets: str, tags: Iterable[str] = ()) -> Alias:
    split = (target.partition("/") for target in targets)
    profile = Profile(max_tokens=len(name))
    return Alias(name, tuple(Target(backend, model) for backend, _, model in split), frozenset(tags), profile)


ALIASES = (
    alias("coder", "desk/qwen2.5-coder:32b", "lab/big", tags=["code"]),
    alias("gpt-4o", "desk/llama3.2"),
    alias("writer", "coder/smollm2", tags=["prose", "code"]),
)


def catalog(*aliases: Alias, default: str | None = None, tasks: Mapping[str, str] | None = None) -> Catalog:
    chosen = aliases or ALIASES
    return Catalog(
        backends=("desk", "coder", "lab"),
        aliases={each.name: each for each in chosen},
        tasks=tasks or {},
        default_model=default,
    )


def everything_up() -> Health:
    health = Health(MODELS)
    for name, models in MODELS.items():
        health.looked(name, Probe(models=models), now=NOW, latency_s=0.01)
    return health


def down(*backends: str) -> Health:
    """Everything up, then these fail a request."""
    health = everything_up()
    for name in backends:
        health.failed(name, f"{name} broke", now=NOW)
    return health


def planned(
    model: str, book: Catalog | None = None, health: Health | None = None, *, random: float = 0.5, **wanted: object
) -> Plan:
    asked = Wanted(model, **wanted)  # pyright: ignore[reportArgumentType]
    return plan(asked, book or catalog(), health or everything_up(), now=NOW, random=lambda: random)


def targets(found: Plan) -> list[str]:
    return [str(candidate.target) for candidate in found.candidates]
