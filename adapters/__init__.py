"""Backend families: where a backend is, how it authenticates, which dialects it speaks, how it is probed."""

from importlib import import_module
from pkgutil import iter_modules

from router.canonical.adapter import Adapter


def discover() -> dict[str, type[Adapter]]:
    """The adapters found in this folder, by the `type` that settings name them by."""
    found: dict[str, type[Adapter]] = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Adapter) and "kind" in vars(value):
                found[value.kind] = value
    return found
