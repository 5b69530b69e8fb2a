"""Every route of the router, from its routing table, asked by everybody: who gets past the door."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from litestar import Litestar

from router.access.networks import AllowedNetwork, Grant, parse_network
from router.access.principal import Scope
from router.storage.values import KeyTerms
from tests.api.conftest import Office
from tests.running import RunningRouter
from tests.surfaces.asking import asked, error_of

pytestmark = pytest.mark.anyio

OPEN, LOOK, CHAT, EMBED, STEER, OWN, OWN_OR_ALL, ADMIN = (
    "open", "look", "chat", "embed", "steer", "own", "own or all", "admin",
)  # fmt: skip
WHOM: Mapping[str, Mapping[str, int]] = {
    # who is refused, and how; everybody else gets past the door
    OPEN: {},
    LOOK: {"nobody": 401, "wrong": 401, "expired": 401},
    CHAT: {"nobody": 401, "wrong": 401, "expired": 401, "embedder": 403, "admin": 403, "admin elsewhere": 403},
    EMBED: {"nobody": 401, "wrong": 401, "expired": 401, "ada": 403, "admin": 403, "admin elsewhere": 403},
    STEER: {"nobody": 401, "wrong": 401, "expired": 401, "ada": 403, "bob": 403, "embedder": 403, "guest": 401,
            "admin elsewhere": 403},
    OWN: {"nobody": 401, "wrong": 401, "expired": 401, "guest": 401},
    OWN_OR_ALL: {"nobody": 401, "wrong": 401, "expired": 401, "guest": 401, "admin elsewhere": 403},
    ADMIN: {"nobody": 401, "wrong": 401, "expired": 401, "ada": 403, "bob": 403, "embedder": 403, "guest": 401,
            "admin elsewhere": 403},
}  # fmt: skip
EVERYBODY = ("nobody", "wrong", "expired", "ada", "bob", "embedder", "guest", "admin", "admin elsewhere")

CHATTED = asked("coder")
EMBEDDED = {"model": "desk/fake-chat", "input": "a"}
NEW_BACKEND = {"name": "lab", "type": "openai", "url": "http://127.0.0.1:9"}
MESSAGE = {**CHATTED, "max_tokens": 5}
RESPONSE = {"model": "coder", "input": "a"}
POSTED: Mapping[str, tuple[str, Any]] = {
    "/chat/completions": (CHAT, CHATTED),
    "/completions": (CHAT, {"model": "coder", "prompt": "a"}),
    "/embeddings": (EMBED, EMBEDDED),
    "/messages": (CHAT, MESSAGE),
    "/messages/count_tokens": (CHAT, CHATTED),
    "/responses": (CHAT, RESPONSE),
    "/responses/input_tokens": (CHAT, RESPONSE),
    "/rerank": (EMBED, {"model": "coder", "query": "a", "documents": ["b"]}),
    "/reranking": (EMBED, {"model": "coder", "query": "a", "documents": ["b"]}),
    "/tokenize": (CHAT, {"model": "coder", "content": "a"}),
    "/detokenize": (CHAT, {"model": "coder", "tokens": [1]}),
}
ROWS: Mapping[tuple[str, str], tuple[str, Any]] = {
    **{("POST", f"{prefix}{path}"): row for path, row in POSTED.items() for prefix in ("", "/v1")},
    **{
        (method, f"{prefix}/responses/{{response_id}}"): (LOOK, None)
        for method in ("GET", "DELETE")
        for prefix in ("", "/v1")
    },
    **{
        (method, path): (LOOK, None)
        for method in ("GET", "HEAD")
        for path in ("/", "/api/version", "/api/tags", "/api/ps")
    },
    ("POST", "/api/show"): (LOOK, {"model": "coder"}),
    ("POST", "/api/chat"): (CHAT, CHATTED),
    ("POST", "/api/generate"): (CHAT, {"model": "coder", "prompt": "a"}),
    ("POST", "/api/embed"): (EMBED, EMBEDDED),
    ("POST", "/api/embeddings"): (EMBED, {"model": "desk/fake-chat", "prompt": "a"}),
    ("POST", "/api/pull"): (STEER, {"model": "a"}),
    ("POST", "/api/create"): (STEER, {"model": "a"}),
    ("POST", "/api/copy"): (STEER, {"source": "a", "destination": "b"}),
    ("DELETE", "/api/delete"): (STEER, {"model": "a"}),
    ("HEAD", "/api/blobs/{digest}"): (STEER, None),
    ("POST", "/api/blobs/{digest}"): (STEER, None),
    ("POST", "/v1/router/explain"): (CHAT, CHATTED),
    ("GET", "/v1/models"): (LOOK, None),
    ("GET", "/models"): (LOOK, None),
    ("GET", "/v1/models/{model_id}"): (LOOK, None),
    ("GET", "/models/{model_id}"): (LOOK, None),
    ("GET", "/v1/router/queue"): (LOOK, None),
    ("POST", "/v1/router/backends/{name}/drain"): (STEER, None),
    ("POST", "/v1/router/backends/{name}/resume"): (STEER, None),
    ("GET", "/v1/router/llama"): (STEER, None),
    ("POST", "/v1/router/llama/{name}/start"): (STEER, None),
    ("POST", "/v1/router/llama/{name}/stop"): (STEER, None),
    ("GET", "/v1/router/llama/{name}/logs"): (STEER, None),
    ("GET", "/health/live"): (OPEN, None),
    ("GET", "/health/ready"): (OPEN, None),
    ("GET", "/health"): (LOOK, None),
    ("GET", "/metrics"): (LOOK, None),
    ("GET", "/docs"): (OPEN, None),
    ("GET", "/docs/openapi.json"): (OPEN, None),
    ("GET", "/docs/{path}"): (LOOK, None),
    ("GET", "/api/backends"): (ADMIN, None),
    ("POST", "/api/backends"): (ADMIN, NEW_BACKEND),
    ("GET", "/api/backends/status"): (ADMIN, None),
    ("GET", "/api/backends/{backend_id}"): (ADMIN, None),
    ("PATCH", "/api/backends/{backend_id}"): (ADMIN, {"weight": 2}),
    ("DELETE", "/api/backends/{backend_id}"): (ADMIN, None),
    ("POST", "/api/backends/{backend_id}/test"): (ADMIN, None),
    ("GET", "/api/backends/{backend_id}/models"): (ADMIN, None),
    ("POST", "/api/backends/{backend_id}/select-model"): (ADMIN, {"model": "m"}),
    ("POST", "/api/backends/{backend_id}/models/pull"): (ADMIN, {"model": "m"}),
    ("POST", "/api/backends/{backend_id}/models/pull/{name}"): (ADMIN, {}),
    ("GET", "/api/backends/{backend_id}/models/{name}"): (ADMIN, None),
    ("POST", "/api/backends/{backend_id}/models/{name}"): (ADMIN, {}),
    ("DELETE", "/api/backends/{backend_id}/models/{name}"): (ADMIN, None),
    ("GET", "/api/backends/{backend_id}/ps"): (ADMIN, None),
    ("GET", "/api/pulls"): (ADMIN, None),
    ("GET", "/api/pulls/{pull_id}"): (ADMIN, None),
    ("DELETE", "/api/pulls/{pull_id}"): (ADMIN, None),
    ("GET", "/api/me/backends"): (OWN, None),
    ("POST", "/api/me/backends"): (OWN, NEW_BACKEND),
    ("GET", "/api/me/backends/status"): (OWN, None),
    ("GET", "/api/me/backends/{backend_id}"): (OWN, None),
    ("PATCH", "/api/me/backends/{backend_id}"): (OWN, {"weight": 2}),
    ("DELETE", "/api/me/backends/{backend_id}"): (OWN, None),
    ("POST", "/api/me/backends/{backend_id}/test"): (OWN, None),
    ("GET", "/api/me/backends/{backend_id}/models"): (OWN, None),
    ("POST", "/api/me/backends/{backend_id}/select-model"): (OWN, {"model": "m"}),
    ("GET", "/api/aliases"): (ADMIN, None),
    ("GET", "/api/users"): (ADMIN, None),
    ("POST", "/api/users"): (ADMIN, {"name": "carl"}),
    ("PATCH", "/api/users/{user_id}"): (ADMIN, {"enabled": True}),
    ("DELETE", "/api/users/{user_id}"): (ADMIN, None),
    ("POST", "/api/keys"): (ADMIN, {"user_id": "user_0", "name": "n"}),
    ("GET", "/api/keys"): (OWN_OR_ALL, None),
    ("DELETE", "/api/keys/{key_id}"): (OWN_OR_ALL, None),
    ("GET", "/api/me"): (OWN, None),
    ("GET", "/api/allowlist"): (ADMIN, None),
    ("POST", "/api/allowlist"): (ADMIN, {"network": "10.9.0.0/16", "allows": "call"}),
    ("DELETE", "/api/allowlist/{entry_id}"): (ADMIN, None),
    ("GET", "/api/preferences"): (OWN, None),
    ("PUT", "/api/preferences"): (OWN, {}),
    ("GET", "/api/requests"): (OWN_OR_ALL, None),
    ("GET", "/api/usage"): (OWN_OR_ALL, None),
}
NOTHING = dict.fromkeys(
    ("model_id", "name", "path", "backend_id", "user_id", "key_id", "entry_id", "response_id", "digest", "pull_id"),
    "thing_0",
)
"""Ids of what is not there: whoever gets past the door changes nothing for those who ask later."""


def table(r: RunningRouter) -> set[tuple[str, str]]:
    """Every route that there is."""
    app: Any = r.router.app
    while not isinstance(app, Litestar):
        app = app._app
    return {(method, route.path_format) for route in app.routes for method in route.methods if method != "OPTIONS"}


def is_told(response: httpx.Response, path: str) -> None:
    """A refusal is an error in the words of the clients of that path."""
    body = response.json()
    if "/messages" in path:
        assert (body["type"], body["error"]["type"]) in {
            ("error", "authentication_error"), ("error", "permission_error"),
        }  # fmt: skip
    elif isinstance(body["error"], str):
        assert path.startswith("/api/") or path == "/"
    else:
        error_of(response)


async def test_every_route_has_a_row(office: Office):
    assert table(office.r) == set(ROWS)


@pytest.mark.parametrize("who", EVERYBODY)
async def test_everybody_gets_as_far_as_he_may(office: Office, who):
    headers = dict(office.keys.get(who, {}))
    if who == "embedder":
        terms = KeyTerms(name="e", scopes=frozenset({Scope.EMBED}))
        headers = {"x-api-key": (await office.stored.keys.create(office.ids["bob"], terms)).secret}
    elif who == "guest":
        await office.stored.networks.add(AllowedNetwork(parse_network("127.0.0.0/8"), Grant.CALL))
    elif who == "admin elsewhere":
        await office.stored.networks.add(AllowedNetwork(parse_network("10.1.0.0/16"), Grant.ADMIN))
        headers = {**office.keys["admin"], "X-Forwarded-For": "10.2.0.1"}
    wrong = []
    for (method, path), (kind, body) in ROWS.items():
        response = await office.r.client.request(method, path.format(**NOTHING), json=body, headers=headers)
        refused = response.status_code if response.status_code in {401, 403} else None
        if refused != WHOM[kind].get(who):
            wrong.append((method, path, response.status_code))
        if refused is not None and method != "HEAD":
            is_told(response, path)
        assert response.status_code != 500
    assert wrong == []


async def test_what_is_another_users_is_out_of_reach(office: Office):
    bob, his_key = office.ids["bob"], office.ids["bob key"]
    for method, path, body, status in (
        ("GET", f"/api/preferences?user_id={bob}", None, 403),
        ("PUT", f"/api/preferences?user_id={bob}", {"default_model": "coder"}, 403),
        ("DELETE", f"/api/keys/{his_key}", None, 404),
        ("PATCH", f"/api/users/{bob}", {"enabled": False}, 403),
        ("DELETE", f"/api/users/{bob}", None, 403),
        ("POST", "/api/keys", {"user_id": bob, "name": "mine"}, 403),
        ("GET", f"/api/backends?user_id={bob}", None, 403),
        ("POST", f"/api/backends?user_id={bob}", NEW_BACKEND, 403),
    ):
        response = await office.ask(method, path, "ada", json=body)
        assert response.status_code == status, (method, path)
        assert his_key not in response.text.replace(path, "")
    assert (await office.ask("GET", f"/api/keys?user_id={bob}", "ada")).json() == []
    assert (await office.ask("GET", "/api/me", "bob")).json()["user_id"] == bob
