"""Models where they live: pulled, followed, shown, loaded, let go and deleted through /api."""

import pytest

from tests.api.conftest import opened
from tests.fakes import FakeBackend, FakeModel
from tests.running import running
from tests.surfaces.asking import backends

pytestmark = pytest.mark.anyio

NAME = "hf.co/org/model:Q4_K_M"


@pytest.fixture
async def ollama(anyio_backend):
    async with FakeBackend([FakeModel("llama3.2:latest"), FakeModel(NAME, loaded=False)], flavour="ollama") as fake:
        yield fake


@pytest.fixture
async def office(ollama, fake, tmp_path):
    config = {"backends": backends({"desk": ollama, "cloud": fake}), "server": {"data_dir": str(tmp_path)}}
    async with running(config) as r:
        yield await opened(r)


@pytest.mark.parametrize("written", [NAME, "hf.co%2Forg%2Fmodel%3AQ4_K_M"])
async def test_a_name_may_hold_slashes_and_colons(office, written):
    shown = await office.ask("GET", f"/api/backends/desk/models/{written}")
    assert shown.status_code == 200, shown.text
    assert (shown.json()["name"], shown.json()["loaded"]) == (NAME, False)
    loaded = await office.ask("POST", f"/api/backends/desk/models/{written}/load", json={"keep_alive": "10m"})
    assert (loaded.status_code, loaded.json()["model"]) == (200, NAME)
    gone = await office.ask("DELETE", f"/api/backends/desk/models/{written}")
    assert (gone.status_code, gone.json()) == (200, {"backend": "desk", "model": NAME})
    assert (await office.ask("GET", f"/api/backends/desk/models/{written}")).status_code == 404
