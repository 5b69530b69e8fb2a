"""What every test may ask for."""

import os
import tempfile

import pytest
from hypothesis import HealthCheck, settings

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="turnout-tests-")
"""Whatever a test starts keeps nothing in the home directory."""

settings.register_profile("turnout", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("turnout")
"""A busy machine is no fault of what is tested."""


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of every async test: the one the router runs on."""
    return "asyncio"
