"""Which event loop the fake's own tests run on."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
