"""A router with a database, an admin, two users and a key of each kind."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from time import time

import httpx
import pytest

from router.access.principal import Scope
from router.config import parse
from router.config_watch import Source
from router.keeping import keeping_of
from router.storage.stored import Stored
from router.storage.values import KeyTerms
from tests.fakes import FakeBackend
from tests.running import RunningRouter, running
from tests.surfaces.asking import alias, backends

WRITTEN = """\
# what stands on the desk
server: {{port: 0, data_dir: {folder}}}
backends:
  desk:
    type: openai  # the old one
    url: {url}
    api_key: planted-file-secret
models:
  coder: {{targets: [desk/fake-chat]}}
"""


@dataclass(frozen=True)
class Office:
    """`keys` are headers by who sends them; `ids` are ids by what they name."""

    r: RunningRouter
    stored: Stored
    keys: dict[str, dict[str, str]]
    ids: dict[str, str]

    async def ask(self, method: str, path: str, who: str = "admin", **more: object) -> httpx.Response:
        return await self.r.client.request(method, path, headers=self.keys[who], **more)


@pytest.fixture
async def fake(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as fake:
        yield fake


@pytest.fixture
async def office(fake, tmp_path) -> AsyncIterator[Office]:
    config = {
        "backends": backends({"desk": fake}, api_key="planted-provider-secret"),
        "models": alias("coder", "desk/fake-chat"),
        "server": {"data_dir": str(tmp_path)},
        "auth": {"trusted_proxies": ["127.0.0.1"], "private_backends": True},
    }
    async with running(config) as r:
        yield await opened(r)


@pytest.fixture
async def lab(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="ollama", reply="I am lab.") as lab:
        yield lab


@pytest.fixture
async def filed(fake, tmp_path) -> AsyncIterator[Office]:
    """An office whose settings come from a file."""
    file = tmp_path / "turnout.yaml"
    text = WRITTEN.format(url=fake.url, folder=tmp_path / "data")
    file.write_text(text, encoding="utf-8")
    settings = parse(text, source="turnout.yaml", environ={})
    keeping = replace(keeping_of(settings), source=Source(file, {}, text, settings))
    async with running(settings.model_dump(exclude_unset=True), keeping=keeping) as r:
        yield await opened(r)


async def opened(r: RunningRouter) -> Office:
    """The office of a router with a database and nobody in it."""
    await r.router.storage.opened.wait()
    stored = r.router.storage.stored
    keys: dict[str, dict[str, str]] = {"nobody": {}, "wrong": {"x-api-key": "sk-turnout-wrong"}}
    ids: dict[str, str] = {}
    for who, scopes, expires_at in (
        ("admin", {Scope.ADMIN}, None),
        ("ada", {Scope.CHAT}, None),
        ("bob", {Scope.CHAT, Scope.EMBED}, None),
        ("expired", {Scope.ADMIN}, time() - 1),
    ):
        user = await stored.users.add(who)
        made = await stored.keys.create(
            user.id, KeyTerms(name=f"key of {who}", scopes=frozenset(scopes), expires_at=expires_at)
        )
        keys[who], ids[who], ids[f"{who} key"] = {"x-api-key": made.secret}, user.id, made.id
    return Office(r, stored, keys, ids)
