"""What people change: in memory at once where it is changed, within a second elsewhere, and after a restart."""

import asyncio
from time import time

import pytest

from router.access.directory import KeyDirectory
from router.access.limits import DAY_S, Clock, Limits
from router.access.networks import AllowedNetwork, Grant, parse_network
from router.access.principal import Allowance, Scope
from router.canonical.caller import Priority
from router.errors import AlreadyExists, BudgetSpent, KeyExpired, NotFound, RouterError, Unauthorized
from router.storage.api_keys import ApiKeys, KeyTerms, keys_into
from router.storage.backends import BackendDefinition, Backends, SeenModel
from router.storage.calibration import Calibration, Calibrations
from router.storage.networks import AllowedNetworks
from router.storage.usage import spending_into
from router.storage.users import Preferences, Users
from tests.storage.opening import opened, until
from tests.usage.recorded import recorded

pytestmark = pytest.mark.anyio

LAPTOP = KeyTerms(
    name="laptop",
    scopes=frozenset({Scope.CHAT}),
    models=("coder", "desk/*"),
    priority="interactive",
    allowance=Allowance(requests_per_minute=60, tokens_per_minute=1000, tokens_per_day=5000),
)


def lets_in(directory: KeyDirectory, secret: str) -> bool:
    try:
        directory.principal(secret, now=time())
    except RouterError:
        return False
    return True


async def test_a_key_counts_from_the_moment_it_is_made_until_it_is_revoked(url):
    directory = KeyDirectory()
    async with opened(url, listeners=[keys_into(directory)]) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, LAPTOP)
        principal = directory.principal(made.secret, now=0)
        assert (principal.key_id, principal.user_id) == (made.id, user.id)
        assert (principal.scopes, principal.models) == (LAPTOP.scopes, LAPTOP.models)
        assert (principal.priority, principal.allowance) == (Priority.INTERACTIVE, LAPTOP.allowance)
        assert (principal.user, principal.key_name) == ("ada", "laptop")
        await ApiKeys(database).revoke(made.id)
        assert not lets_in(directory, made.secret)


async def test_a_change_reaches_another_router_on_the_same_database_within_a_second(url):
    here, there = KeyDirectory(), KeyDirectory()
    async with opened(url, listeners=[keys_into(here)]) as mine, opened(url, listeners=[keys_into(there)]):
        user = await Users(mine).add("ada")
        made = await ApiKeys(mine).create(user.id, LAPTOP)
        await until(lambda: lets_in(there, made.secret), 1)
        await ApiKeys(mine).revoke(made.id)
        assert not lets_in(here, made.secret)
        await until(lambda: not lets_in(there, made.secret), 1)


async def test_keys_are_known_after_a_restart(url):
    directory = KeyDirectory()
    async with opened(url) as database:
        made = await ApiKeys(database).create((await Users(database).add("ada")).id, LAPTOP)
    async with opened(url, listeners=[keys_into(directory)]):
        assert directory.principal(made.secret, now=0).key_id == made.id


async def test_keys_of_a_user_who_is_switched_off_or_removed_are_not_valid(url):
    directory = KeyDirectory()
    async with opened(url, listeners=[keys_into(directory)]) as database:
        users, keys = Users(database), ApiKeys(database)
        user = await users.add("ada")
        made = await keys.create(user.id, LAPTOP)
        assert not (await users.enable(user.id, enabled=False)).enabled
        assert not lets_in(directory, made.secret)
        await users.enable(user.id, enabled=True)
        assert lets_in(directory, made.secret)
        await users.remove(user.id)
        assert not lets_in(directory, made.secret)
        assert await keys.all() == ()


async def test_an_expired_key_is_known_as_such(url):
    directory = KeyDirectory()
    async with opened(url, listeners=[keys_into(directory)]) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, KeyTerms(name="short", expires_at=1000.5))
    directory.principal(made.secret, now=1000)
    with pytest.raises(KeyExpired):
        directory.principal(made.secret, now=1001)


async def test_a_list_of_keys_shows_everything_but_the_keys(url):
    async with opened(url) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, LAPTOP)
        (key,) = await ApiKeys(database).all(user.id)
        assert await ApiKeys(database).all("somebody") == ()
    assert (key.id, key.prefix, key.terms, key.revoked_at) == (made.id, made.prefix, LAPTOP, None)
    assert made.secret not in repr(key)


async def test_what_is_not_there_is_said_to_be_missing(url):
    async with opened(url) as database:
        for missing in (
            ApiKeys(database).create("user_0", LAPTOP),
            ApiKeys(database).revoke("key_0"),
            Users(database).remove("user_0"),
            Users(database).preferences("user_0"),
            Backends(database).remove("backend_0"),
            AllowedNetworks(database).remove("network_0"),
        ):
            with pytest.raises(NotFound):
                await missing


async def test_the_first_start_gives_one_admin_key_to_one_router(url):
    directory = KeyDirectory()
    async with opened(url, listeners=[keys_into(directory)]) as mine, opened(url) as yours:
        made = await asyncio.gather(*(ApiKeys(each).first_admin_key() for each in (mine, yours, mine)))
        (key,) = [one for one in made if one]
        await until(lambda: lets_in(directory, key.secret), 1)
        assert directory.principal(key.secret, now=0).scopes == {Scope.ADMIN}
        assert not directory.asks
        assert await ApiKeys(mine).first_admin_key() is None


async def test_a_daily_budget_survives_a_restart(url):
    directory, limits = KeyDirectory(), Limits()
    async with opened(url) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, LAPTOP)
        other = await ApiKeys(database).create(user.id, KeyTerms(name="no budget"))
        for key_id, started_at in ((made.id, time()), (other.id, time()), (made.id, time() - DAY_S)):
            for _ in range(200):
                database.writer.buffer.record(recorded(key_id=key_id, started_at=started_at))
    clock = Clock(0, time())
    seeds = [spending_into(limits, monotonic=lambda: clock.monotonic, wall=lambda: clock.wall)]
    async with opened(url, listeners=[keys_into(directory)], seeds=seeds):
        allowance = directory.principal(made.secret, now=0).allowance
    assert {key: account.spent for key, account in limits._accounts.items()} == {made.id: 200 * 31}
    with pytest.raises(BudgetSpent):
        limits.admit(made.id, allowance, tokens=1, clock=clock)


async def test_before_the_database_was_ever_read_every_key_is_refused(cluster, postgres_url):
    directory = KeyDirectory()
    await asyncio.to_thread(cluster.stop)
    try:
        async with opened(postgres_url, listeners=[keys_into(directory)]) as database:
            assert not lets_in(directory, "sk-turnout-anything")
            await asyncio.to_thread(cluster.start)
            await until(lambda: database.state.ok)
            with pytest.raises(Unauthorized):
                directory.principal("sk-turnout-anything", now=0)
    finally:
        if not cluster.running:
            await asyncio.to_thread(cluster.start)


async def test_preferences_are_kept_for_each_user(url):
    wanted = Preferences("desk", "coder", fallback_to_claude=True, use_local_for_code=True)
    async with opened(url) as database:
        users = Users(database)
        ada, bob = await users.add("ada"), await users.add("bob")
        await users.prefer(ada.id, Preferences("lab"))
        await users.prefer(ada.id, wanted)
        assert await users.preferences(ada.id) == wanted
        assert await users.preferences(bob.id) == Preferences()


async def test_a_backend_is_everybodys_or_one_users_own(url):
    async with opened(url) as database:
        backends, users = Backends(database), Users(database)
        ada, bob = await users.add("ada"), await users.add("bob")
        desk = BackendDefinition(name="desk", kind="ollama", url="http://127.0.0.1:1", options={"max_parallel": 2})
        shared = await backends.add(desk)
        owned = [await backends.add(desk, owner_id=user.id) for user in (ada, bob)]
        for owner in (None, ada.id):
            with pytest.raises(AlreadyExists):
                await backends.add(desk, owner_id=owner)
        moved = await backends.replace(
            shared.id, BackendDefinition(name="den", kind="ollama", url="http://127.0.0.1:2")
        )
        assert (moved.id, moved.definition.url, moved.definition.options) == (shared.id, "http://127.0.0.1:2", {})
        await users.remove(ada.id)
        assert {backend.id for backend in await backends.all()} == {shared.id, owned[1].id}
        assert (await backends.all())[1].definition == desk


async def test_the_selected_model_stays_when_a_backend_is_looked_at_again(url):
    models = [SeenModel(name=name, size=7 * 10**9, details={"family": "f"}, last_seen=5.0) for name in ("a", "b")]
    async with opened(url) as database:
        backends = Backends(database)
        await backends.saw("file-backend", models)
        await backends.select("file-backend", "a")
        await backends.select("file-backend", "b")
        await backends.saw("file-backend", models)
        assert [(model.name, model.selected) for model in await backends.models("file-backend")] == [
            ("a", False),
            ("b", True),
        ]
        with pytest.raises(NotFound):
            await backends.select("file-backend", "c")


async def test_the_allowlist_is_kept(url):
    home = AllowedNetwork(parse_network("192.168.0.0/16"), Grant.CALL)
    async with opened(url) as database:
        networks = AllowedNetworks(database)
        entry = await networks.add(home)
        with pytest.raises(AlreadyExists):
            await networks.add(home)
        assert [found.allowed for found in await networks.all()] == [home]
        await networks.remove(entry.id)
        assert await networks.all() == ()


async def test_calibration_is_kept_over_restarts(url):
    learnt = {("desk", "m"): Calibration(1.07, 40, 5.0), ("desk", "n"): Calibration(0.9, 2, 6.0)}
    async with opened(url) as database:
        await Calibrations(database).keep(learnt)
        await Calibrations(database).keep({("desk", "n"): Calibration(0.95, 3, 7.0)})
    async with opened(url) as database:
        assert await Calibrations(database).all() == learnt | {("desk", "n"): Calibration(0.95, 3, 7.0)}
