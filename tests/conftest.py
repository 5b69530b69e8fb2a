"""What every test may ask for."""

import os
import tempfile

import pytest

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="turnout-tests-")
"""Whatever a test starts keeps nothing in the home directory."""


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of every async test: the one the router runs on."""
    return "asyncio"
