"""What is secret is sealed at rest, opens with the right key only, and can be sealed anew."""

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.access.directory import KeyDirectory
from router.storage import rekey as rekeying
from router.storage.api_keys import ApiKeys, KeyTerms, keys_into
from router.storage.backends import BackendDefinition, Backends
from router.storage.engine import make_engine
from router.storage.location import StorageProblem, database_url
from router.storage.rekey import rekey, rekey_file
from router.storage.seal import Purpose, Seal, subkey
from router.storage.secret_key import read_file, read_keys
from router.storage.tables import Table
from router.storage.users import Users
from tests.storage.opening import OTHER_KEY, SECRET_KEY, opened

pytestmark = pytest.mark.anyio

PROVIDER_KEY = "sk-ant-planted-provider-key"
HEADER = "planted-header-value"
CLAUDE = BackendDefinition(
    name="claude", kind="claude", url="https://api.anthropic.com", api_key=PROVIDER_KEY, headers={"x-team": HEADER}
)


async def everything_in(url: str) -> str:
    """All values of all tables."""
    engine = make_engine(url)
    async with engine.connect() as connection:
        found = [repr((await connection.execute(table.select())).all()) for table in Table.metadata.sorted_tables]
    await engine.dispose()
    return "\n".join(found)


@given(secret=st.text(st.characters(codec="utf-8"), max_size=200), purpose=st.sampled_from(Purpose))
def test_what_is_sealed_opens_with_its_key_and_for_its_purpose_only(secret, purpose):
    sealed = Seal((SECRET_KEY,)).seal(secret, purpose)
    assert Seal((OTHER_KEY, SECRET_KEY)).open(sealed, purpose) == secret
    (other,) = set(Purpose) - {purpose}
    for wrong, wanted in ((Seal((OTHER_KEY,)), purpose), (Seal((SECRET_KEY,)), other)):
        with pytest.raises(StorageProblem):
            wrong.open(sealed, wanted)


def test_every_purpose_has_a_key_of_its_own():
    assert len({subkey(SECRET_KEY, purpose) for purpose in Purpose} | {SECRET_KEY.encode()}) == len(Purpose) + 1


async def test_no_secret_is_in_the_database_nor_in_what_is_printed(url):
    async with opened(url) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, KeyTerms(name="laptop"))
        backend = await Backends(database).add(CLAUDE)
        assert (await Backends(database).all())[0].definition == CLAUDE
        pepper = database.pepper
    stored = await everything_in(url)
    for secret in (
        PROVIDER_KEY,
        HEADER,
        made.secret,
        made.secret.removeprefix("sk-turnout-"),
        SECRET_KEY,
        repr(pepper),
    ):
        assert secret not in stored
    for secret in (PROVIDER_KEY, HEADER):
        assert secret not in repr(backend)


async def test_a_database_that_was_sealed_with_another_key_is_not_used(url):
    async with opened(url):
        pass
    with pytest.raises(StorageProblem, match="another secret key"):
        async with opened(url, OTHER_KEY):
            pass


async def test_after_rekeying_only_the_new_key_is_needed_and_every_api_key_still_works(url):
    directory = KeyDirectory()
    async with opened(url, SECRET_KEY) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, KeyTerms(name="laptop"))
        await Backends(database).add(CLAUDE)
        assert await rekey(database, Seal((OTHER_KEY, SECRET_KEY))) == 3
    async with opened(url, OTHER_KEY, listeners=[keys_into(directory)]) as database:
        assert (await Backends(database).all())[0].definition == CLAUDE
        assert directory.principal(made.secret, now=0).key_id == made.id
    with pytest.raises(StorageProblem):
        async with opened(url, SECRET_KEY):
            pass


async def test_rekeying_without_the_old_key_changes_nothing(url):
    async with opened(url) as database:
        await Backends(database).add(CLAUDE)
        before = await everything_in(url)
        with pytest.raises(StorageProblem):
            await rekey(database, Seal((OTHER_KEY,)))
        assert (await Backends(database).all())[0].definition == CLAUDE
        assert (await everything_in(url)) == before


async def test_a_key_file_is_replaced_by_a_new_one(url, tmp_path):
    file = tmp_path / "secret.key"
    (old,) = read_file(file)
    async with opened(url, old) as database:
        await Backends(database).add(CLAUDE)
        await rekey_file(database, file)
    (new,) = read_file(file)
    assert new != old
    async with opened(url, new) as database:
        assert (await Backends(database).all())[0].definition == CLAUDE
    assert [path.name for path in tmp_path.iterdir() if "secret" in path.name] == ["secret.key"]


@pytest.mark.parametrize("stopped_before", ["rekey", "replace_file"])
async def test_rekeying_that_stops_half_way_leaves_keys_that_open_everything(
    url, tmp_path, monkeypatch, stopped_before
):
    file = tmp_path / "secret.key"
    (old,) = read_file(file)
    real, calls = getattr(rekeying, stopped_before), []

    def stopping(*given):
        calls.append(given)
        if stopped_before == "rekey" or len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    async with opened(url, old) as database:
        await Backends(database).add(CLAUDE)
        monkeypatch.setattr(rekeying, stopped_before, stopping)
        with pytest.raises(KeyboardInterrupt):
            await rekey_file(database, file)
    async with opened(url, *read_file(file)) as database:
        assert (await Backends(database).all())[0].definition == CLAUDE


def test_a_key_file_is_made_once_whoever_is_first_and_for_its_owner_only(tmp_path):
    file, found = tmp_path / "data" / "secret.key", []
    start = threading.Barrier(8)

    def reading() -> None:
        start.wait()
        found.append(read_file(file))

    threads = [threading.Thread(target=reading) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "secret.key"
    read_file(file)
    file.chmod(0o640)
    with pytest.raises(StorageProblem, match="chmod 600"):
        read_file(file)


def test_keys_of_the_environment_come_before_a_file_and_may_be_several(tmp_path):
    environ = {"TURNOUT_SECRET_KEY": f"{'n' * 40}, {'o' * 40}"}
    assert read_keys(environ, tmp_path) == read_keys(environ, None) == ("n" * 40, "o" * 40)
    assert list(tmp_path.iterdir()) == []
    assert read_keys({}, tmp_path) == read_file(tmp_path / "secret.key")


def test_without_variable_and_folder_there_is_no_secret_key():
    with pytest.raises(StorageProblem, match="TURNOUT_SECRET_KEY"):
        read_keys({}, None)


@pytest.mark.parametrize("written", ["short", "short," + "x" * 40, ","])
def test_a_key_that_is_too_short_is_refused(written, tmp_path):
    with pytest.raises(StorageProblem, match="32 characters"):
        read_keys({"TURNOUT_SECRET_KEY": written}, tmp_path)


def test_without_an_address_the_database_is_a_file_in_the_data_folder():
    assert database_url(None, Path("/srv/turnout")) == "sqlite:////srv/turnout/turnout.db"


@pytest.mark.parametrize(
    "address", ["sqlite://", "sqlite:///", "mysql://h/d", "turnout.db", "postgresql+psycopg://h/d"]
)
def test_an_address_of_another_kind_is_refused(address):
    with pytest.raises(StorageProblem):
        database_url(address, None)


@pytest.mark.parametrize("address", ["postgresql://user:planted@host:port/name", "postgresql://user:planted@[::1/name"])
def test_an_address_that_cannot_be_read_is_not_repeated(address):
    with pytest.raises(StorageProblem) as refused:
        make_engine(address)
    assert "planted" not in str(refused.value)
    assert refused.value.__suppress_context__
