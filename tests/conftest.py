"""What every test may ask for."""

import os
import tempfile

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
"""How long an example takes says more about the machine than about us."""

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="turnout-tests-")
"""Whatever a test starts keeps nothing in the home directory."""


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of every async test: the one the router runs on."""
    return "asyncio"
