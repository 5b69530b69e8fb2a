"""What the doctor says of Claude, whom it asks for the list of models and for nothing else."""

from email.utils import formatdate
from time import time

import pytest

from tests.doctor.examining import backend, found, only, told
from tests.fakes import FakeBackend, FakeModel, Faults, Scripted
from tests.surfaces.asking import alias

pytestmark = pytest.mark.anyio

LISTED = ("claude-sonnet-5", "claude-haiku-4-5-20251001")
KEY = "planted-claude-key"


@pytest.fixture
async def claude(anyio_backend):
    async with FakeBackend([FakeModel(name) for name in LISTED], flavour="claude") as fake:
        fake.key = KEY
        yield fake


def settings(fake: FakeBackend, *targets: str, **more):
    models = alias("a", *(f"desk/{target}" for target in targets)) if targets else {}
    return {**backend("claude", fake.url, **({"api_key": KEY} | more)), "models": models}


async def test_a_good_key_and_models_that_are_listed_are_nothing_to_complain_about(claude):
    assert await told(settings(claude, "claude-sonnet-5", "claude-haiku-4-5", models=["claude-haiku-4-5"])) == []


async def test_nothing_but_the_list_is_asked_for(claude):
    findings = await found(settings(claude, "claude-sonnet-5"))
    assert [model.name for model in findings.backends[0].probe.models] == list(LISTED)
    assert claude.requests == []
    assert {probe.path for probe in claude.probes} == {"/", "/v1/models"}


@pytest.mark.parametrize("key", [KEY + "-old", None])
async def test_a_refused_key_is_said_and_never_shown(claude, key):
    complaint = await only(settings(claude, "claude-sonnet-5", api_key=key))
    assert (complaint.code, complaint.place) == ("key_refused", "backends.desk.api_key")
    assert KEY not in complaint.what + complaint.mend
    assert ("none is set" in complaint.what) is (key is None)


async def test_a_model_that_is_not_listed_is_said_with_the_one_that_may_be_meant(claude):
    complaint = await only(settings(claude, "claude-sonet-5"))
    assert (complaint.code, complaint.place) == ("model_missing", "models.a")
    assert complaint.what == "desk has no model claude-sonet-5."
    assert complaint.mend == "Write desk/claude-sonnet-5."


async def test_a_model_that_the_settings_name_is_looked_for_in_the_list(claude):
    complaint = await only(settings(claude, models=["claude-sonnet-9000"]))
    assert (complaint.code, complaint.place) == ("model_missing", "backends.desk.models")


async def test_nobody_there_is_said_without_looking_around_at_its_host(claude):
    async with FakeBackend() as other:
        await claude.stop()
        complaint = await only(settings(claude), ports=[other.port])
        assert other.probes == []
    assert (complaint.code, complaint.place) == ("refused", "backends.desk.url")
    assert "no proxy is used" in complaint.mend


async def test_silence_is_said(claude):
    claude.faults = Faults(health="hang")
    assert (await only({**settings(claude), "health": {"timeout_s": 0.1}})).code == "silent"


async def test_a_clock_that_is_off_is_said(claude):
    claude.script("/", Scripted(body=b"{}", headers={"Date": formatdate(time() - 3600, usegmt=True)}))
    complaint = await only(settings(claude))
    assert (complaint.code, complaint.severity) == ("clock", "warning")
    assert "behind" in complaint.what


@pytest.mark.parametrize("status", [429, 529])
async def test_a_limit_is_not_taken_for_a_wrong_address(claude, status):
    claude.script("/v1/models", Scripted(status=status, body=b"{}"))
    complaint = await only(settings(claude))
    assert (complaint.code, complaint.severity) == ("busy", "warning")


async def test_an_account_without_models_is_said(anyio_backend):
    async with FakeBackend([], flavour="claude") as empty:
        complaint = await only(backend("claude", empty.url, api_key=KEY))
    assert complaint.code == "no_models"
    assert "account" in complaint.mend
