"""What every test may ask for."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of every async test: the one the router runs on."""
    return "asyncio"
