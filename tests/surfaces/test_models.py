"""`/v1/models`: what there is, and how it is."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeBackend, FakeModel
from tests.running import RunningRouter, running
from tests.surfaces.asking import alias, backends, error_of, take_down

pytestmark = pytest.mark.anyio

OLLAMA = [
    FakeModel("llama3.2:latest", ("completion", "tools"), size=2_000, context_length=8192),
    FakeModel("hf.co/someone/Model-GGUF:Q4_K_M", loaded=False),
    FakeModel("nomic-embed-text:latest", ("embedding",)),
]


@pytest.fixture
async def r(anyio_backend) -> AsyncIterator[RunningRouter]:
    async with (
        FakeBackend(OLLAMA) as desk,
        FakeBackend([FakeModel("org/shared"), FakeModel("llama3.2")], flavour="openai") as lab,
        running(
            {
                "backends": backends({"desk": desk, "lab": lab}),
                "models": {
                    **alias("coder", "desk/llama3.2", "lab/org/shared", tags=["code"], context_length=4096),
                    **alias("team/best", "lab/org/shared"),
                },
            }
        ) as r,
    ):
        yield r


async def ids(r: RunningRouter) -> list[str]:
    return [model["id"] for model in (await r.client.get("/v1/models")).json()["data"]]


async def one(r: RunningRouter, model_id: str) -> dict:
    response = await r.client.get(f"/v1/models/{model_id}")
    assert response.status_code == 200, response.text
    return response.json()


async def test_aliases_come_first_and_every_discovered_model_once(r):
    assert await ids(r) == [
        "coder",
        "team/best",
        "llama3.2:latest",
        "hf.co/someone/Model-GGUF:Q4_K_M",
        "nomic-embed-text:latest",
        "org/shared",
    ]


async def test_every_entry_has_openais_fields(r):
    listed = (await r.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert {model["object"] for model in listed["data"]} == {"model"}
    assert all(isinstance(model["created"], int) and model["owned_by"] for model in listed["data"])


async def test_a_discovered_model_says_what_its_backend_knows(r):
    told = (await one(r, "llama3.2:latest"))["turnout"]
    assert told["backend"] == "desk"
    assert told["capabilities"] == ["chat", "tools"]
    assert (told["context_length"], told["size"], told["loaded"], told["healthy"]) == (8192, 2000, True, True)


async def test_an_alias_says_where_it_leads(r):
    told = await one(r, "coder")
    assert told["owned_by"] == "turnout"
    assert told["turnout"]["targets"] == ["desk/llama3.2", "lab/org/shared"]
    assert (told["turnout"]["backend"], told["turnout"]["tags"]) == ("desk", ["code"])
    assert told["turnout"]["context_length"] == 4096


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("hf.co/someone/Model-GGUF:Q4_K_M", "hf.co/someone/Model-GGUF:Q4_K_M"),
        ("hf.co%2Fsomeone%2FModel-GGUF:Q4_K_M", "hf.co/someone/Model-GGUF:Q4_K_M"),
        ("team/best", "team/best"),
        ("nomic-embed-text", "nomic-embed-text:latest"),
        ("coder:latest", "coder"),
        ("desk/llama3.2", "llama3.2:latest"),
        ("lab/llama3.2", "llama3.2"),
        ("lab/org/shared", "org/shared"),
    ],
)
async def test_a_model_is_found_by_its_id(r, asked, found):
    assert (await one(r, asked))["id"] == found


@pytest.mark.parametrize("asked", ["nothing", "desk/nothing", "nowhere/llama3.2", "org", "lab"])
async def test_an_unknown_id_is_a_404(r, asked):
    response = await r.client.get(f"/v1/models/{asked}")
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"


async def test_a_model_on_a_backend_that_is_down_is_not_healthy(r):
    await take_down(r, "desk")
    assert (await one(r, "nomic-embed-text"))["turnout"]["healthy"] is False


async def test_an_alias_is_healthy_while_one_target_is(r):
    await take_down(r, "desk")
    told = (await one(r, "coder"))["turnout"]
    assert (told["healthy"], told["backend"]) == (True, "lab")
    await take_down(r, "lab")
    assert (await one(r, "coder"))["turnout"]["healthy"] is False


async def test_a_model_of_two_backends_is_shown_for_the_one_that_is_up(r):
    await take_down(r, "desk")
    told = (await one(r, "llama3.2"))["turnout"]
    assert (told["healthy"], told["backend"]) == (True, "lab")


async def test_models_without_backends_are_an_empty_list(anyio_backend):
    async with running({}) as r:
        response = await r.client.get("/v1/models")
    assert response.json() == {"data": [], "object": "list"}


@pytest.mark.parametrize("flavour", ["ollama", "openai"])
async def test_a_backend_without_models_is_an_empty_list(anyio_backend, flavour):
    async with FakeBackend([], flavour=flavour) as fake, running({"backends": backends({"desk": fake})}) as r:
        assert (await r.client.get("/v1/models")).json()["data"] == []


async def test_the_list_also_comes_without_its_version(r):
    assert (await r.client.get("/models")).json() == (await r.client.get("/v1/models")).json()
