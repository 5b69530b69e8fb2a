"""Secrets are planted wherever one can be, then every answer, log line, metric and error is searched for them."""

import logging
import re
from typing import Any

import httpx
import pytest

from router.storage.values import BackendDefinition
from tests.api.conftest import Office
from tests.api.test_matrix import ROWS
from tests.fakes import FakeBackend, Scripted
from tests.running import running
from tests.surfaces.asking import CHAT, asked, backends, eventually

pytestmark = pytest.mark.anyio

PLANTED = "planted"


class Search:
    """Every answer that was got, as text with its headers."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.seen: list[tuple[str, str]] = []

    async def ask(self, method: str, path: str, who: str = "admin", **more: Any) -> httpx.Response:
        response = await self._office.ask(method, path, who, **more)
        self.seen.append((f"{method} {path}", f"{response.headers} {response.text}"))
        return response

    def finds(self, secret: str) -> list[str]:
        return [where for where, text in self.seen if secret in text]


async def test_no_secret_is_in_any_answer_log_line_metric_or_error(office: Office, fake: FakeBackend, caplog):
    caplog.set_level(logging.DEBUG)
    search = Search(office)
    new = {
        "name": "lab",
        "type": "openai",
        "url": fake.url,
        "api_key": "planted-lab-key",
        "headers": {"X-Lab": "planted-lab-header"},
    }
    lab = (await search.ask("POST", "/api/backends", json=new)).json()
    own = await office.stored.backends.add(
        BackendDefinition(name="own", kind="openai", url=fake.url, api_key="planted-own-key"),
        owner_id=office.ids["ada"],
    )
    made = await office.ask("POST", "/api/keys", json={"user_id": office.ids["ada"], "name": "phone"})
    user_key = made.json()["key"]
    await _ask_everything(search, lab["id"])
    await _make_mistakes(search, lab["id"])
    await _ask_for_ones_own(search, own.id)
    for model, echoed in (
        ("desk/fake-chat", "planted-provider-secret"),
        ("lab/fake-chat", "planted-other-key planted-lab-header"),
        ("own/fake-chat", "planted-own-key"),
    ):
        told = b'{"error": {"message": "wrong key: %b"}}' % echoed.encode()
        fake.script("/v1/chat/completions", Scripted(status=401, body=told), Scripted(status=400, body=told))
        await search.ask("POST", CHAT, "ada", json=asked(model))
        await search.ask("POST", CHAT, "ada", json=asked(model, stream=True))
    await eventually(lambda: office.r.router.storage.state.waiting == 0)
    for path in ("/metrics", "/health", "/api/requests", "/api/usage?by=backend", "/api/usage?by=key&as=csv"):
        await search.ask("GET", path)
    assert search.finds(PLANTED) == []
    assert search.finds(user_key) == []
    assert search.finds(office.keys["admin"]["x-api-key"]) == []
    log = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records if _is_ours(record))
    assert len(log) > 100
    assert not [secret for secret in (PLANTED, user_key, office.keys["ada"]["x-api-key"]) if secret in log]


async def _ask_everything(search: Search, lab: str) -> None:
    for method, path in ROWS:
        who = "ada" if path.startswith(("/v1", "/models")) else "admin"
        for name in (lab, "desk", "coder", "fake-chat") if method == "GET" else ():
            await search.ask("GET", re.sub(r"{.*}", name, path), who)
    await search.ask("POST", f"/api/backends/{lab}/test")
    await search.ask("GET", f"/api/backends/{lab}/models?refresh=true")
    await search.ask("PATCH", f"/api/backends/{lab}", json={"api_key": "planted-other-key", "weight": 3})


async def _ask_for_ones_own(search: Search, own: str) -> None:
    mine = f"/api/me/backends/{own}"
    for path in ("/api/me/backends", "/api/me/backends/status", mine, f"{mine}/models?refresh=true"):
        assert (await search.ask("GET", path, "ada")).status_code == 200
    for method, path, body in (
        ("POST", f"{mine}/test", None),
        ("PATCH", mine, {"weight": 2}),
        ("PATCH", mine, {"url": "http://127.0.0.1:9"}),
        ("PATCH", mine, {"api_key": "planted key\nof two lines"}),
    ):
        assert (await search.ask(method, path, "ada", json=body)).status_code in {200, 400}


async def _make_mistakes(search: Search, lab: str) -> None:
    """Whatever is wrong with a body, its values are not repeated."""
    for wrong in (
        {"api_key": "planted key\nof two lines"},
        {"api_key": ["planted-in-a-list"]},
        {"headers": {"X-Bad": "planted\nvalue"}},
        {"headers": {"planted name": "v"}},
        {"weight": "planted-weight"},
        {"url": "ftp://planted-user:planted-password@host"},
    ):
        for method, path, body in (
            ("POST", "/api/backends", {"name": "bad", "type": "openai", "url": "http://h", **wrong}),
            ("PATCH", f"/api/backends/{lab}", wrong),
        ):
            assert (await search.ask(method, path, json=body)).status_code == 400, (method, wrong)
    for path, body in (
        ("/api/users", {"name": ["planted"]}),
        ("/api/keys", {"user_id": 7, "name": "n", "scopes": ["planted-scope"]}),
        ("/api/allowlist", {"network": "planted-network", "allows": "call"}),
    ):
        assert (await search.ask("POST", path, json=body)).status_code == 400, path


def _is_ours(record: logging.LogRecord) -> bool:
    """Not the test's own client and server, which log what the test itself sends."""
    return record.name.startswith(("router", "adapters", "sqlalchemy", "aiosqlite", "alembic"))


async def test_the_password_of_a_database_that_is_not_there_is_told_nowhere(fake: FakeBackend, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    admin = {"x-api-key": "key-of-an-admin-here"}
    config = {
        "backends": backends({"desk": fake}),
        "auth": {"api_keys": [{"key": admin["x-api-key"], "scopes": ["admin", "chat"]}]},
        "database": {"url": "postgresql://turnout:planted-db-password@127.0.0.1:9/planted-name"},
        "server": {"data_dir": str(tmp_path)},
    }
    async with running(config) as r:
        await r.client.post(CHAT, json=asked("desk/fake-chat"), headers=admin)
        await eventually(lambda: r.router.storage.state.reason not in {"", "the database is being opened"})
        answers = [
            await r.client.request(method, path.format_map(_Any()), json=body, headers=admin)
            for (method, path), (_, body) in ROWS.items()
        ]
    told = [f"{answer.url} {answer.headers} {answer.text}" for answer in answers]
    assert not [text for text in told if "planted" in text]
    assert "planted-db-password" not in caplog.text
    assert {answer.status_code for answer in answers} >= {200, 503}


class _Any(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return "thing_0"
