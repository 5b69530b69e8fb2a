"""One file for each client, which makes its `CLIENT`, or `CLIENTS`."""

import importlib
import pkgutil

from router import connect
from tests.clients.client import Client


def every() -> list[Client]:
    """In the order of their guides."""
    found: list[Client] = []
    for module in pkgutil.iter_modules(__path__):
        there = importlib.import_module(f"{__name__}.{module.name}")
        found += getattr(there, "CLIENTS", None) or [there.CLIENT]
    names = [guide.name for guide in connect.GUIDES]
    return sorted(found, key=lambda client: names.index(client.name))
