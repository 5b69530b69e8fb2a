"""The catalog that the settings ask for."""

from collections.abc import Mapping

from router.canonical.caller import Priority
from router.canonical.request import Profile
from router.routing.catalog import Alias, Catalog, Target, Terms
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.settings.models import AliasSettings

USUAL_PARALLEL = 32


def catalog_of(settings: Settings, enabled: Mapping[str, BackendSettings], owners: Mapping[str, str]) -> Catalog:
    """What the `enabled` backends and the aliases come to; `owners` are those of private backends."""
    aliases = (_alias(name, alias, enabled) for name, alias in settings.models.items())
    return Catalog(
        backends=tuple(enabled),
        aliases={alias.name: alias for alias in aliases if alias.targets},
        tasks=settings.routing.tasks,
        default_model=settings.routing.default_model,
        on_missing=settings.routing.on_missing_model,
        terms={name: _terms(backend) for name, backend in enabled.items()},
        owners={name: owner for name, owner in owners.items() if name in enabled},
    )


def _terms(backend: BackendSettings) -> Terms:
    """Ollama does one request at a time unless told otherwise; llama.cpp says itself how many."""
    usual = {"ollama": 1, "llama_cpp": None}.get(backend.type, USUAL_PARALLEL)
    return Terms(
        weight=backend.weight,
        max_parallel=backend.max_parallel or usual,
        hosted=backend.is_hosted,
        kind=backend.type,
    )


def _alias(name: str, alias: AliasSettings, enabled: Mapping[str, BackendSettings]) -> Alias:
    """An alias without the targets on backends that are switched off."""
    targets = (target.partition("/") for target in alias.targets)
    return Alias(
        name=name,
        targets=tuple(Target(backend, model) for backend, _, model in targets if backend in enabled),
        tags=frozenset(alias.tags),
        scored=alias.strategy == "score",
        local_only=alias.local_only,
        profile=Profile(
            options=alias.options,
            context_length=alias.context_length,
            max_tokens=alias.max_tokens,
            thinking_tokens=alias.thinking_tokens,
            truncate=alias.truncate,
            client_options=frozenset(alias.client_options),
            split_thinking=alias.split_thinking,
            resume=alias.resume,
            hedge_after_s=alias.hedge_after,
        ),
        priority=None if alias.priority is None else Priority[alias.priority.upper()],
    )
