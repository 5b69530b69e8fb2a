"""Who a key belongs to, and what is kept of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.access.directory import KeyDirectory, KnownKey, Snapshot
from router.access.keys import digest, make_key
from router.access.principal import Principal, Scope
from router.errors import KeyExpired, KeysUnavailable, ModelNotAllowed, ScopeMissing, Unauthorized

PEPPER = b"p" * 32


def known(secret: str, key_id: str = "key_1", expires_at: float | None = None) -> KnownKey:
    principal = Principal(key_id=key_id, scopes=frozenset({Scope.CHAT}))
    return KnownKey(digest(secret, PEPPER), principal, expires_at)


def directory_of(*keys: KnownKey) -> KeyDirectory:
    return KeyDirectory(Snapshot.of(keys, pepper=PEPPER))


def test_a_key_is_known_by_its_start_and_is_not_in_what_is_printed_of_it():
    made = make_key()
    assert made.secret.startswith("sk-turnout-")
    assert len(made.secret) > 50
    assert made.secret not in repr(made)
    assert made.secret.startswith(made.prefix)
    assert len(made.prefix) <= 16


def test_no_two_keys_are_alike():
    assert len({make_key().secret for _ in range(100)}) == 100


def test_a_digest_needs_the_pepper():
    assert digest("sk-turnout-a", PEPPER) != digest("sk-turnout-a", b"q" * 32)


@given(presented=st.text(max_size=600))
def test_nothing_but_the_key_itself_is_let_in(presented):
    with pytest.raises(Unauthorized):
        directory_of(known("sk-turnout-right")).principal(presented, now=0)


def test_the_key_itself_is():
    directory = directory_of(known("sk-turnout-right", "key_1"), known("sk-turnout-other", "key_2"))
    assert directory.principal("sk-turnout-right", now=0).key_id == "key_1"


def test_an_expired_key_is_told_apart():
    directory = directory_of(known("sk-turnout-right", expires_at=100))
    directory.principal("sk-turnout-right", now=99.9)
    with pytest.raises(KeyExpired) as refused:
        directory.principal("sk-turnout-right", now=100)
    assert refused.value.status == 401


def test_before_any_key_was_read_nobody_is_let_in_and_nobody_is_called_wrong():
    with pytest.raises(KeysUnavailable) as refused:
        KeyDirectory().principal("sk-turnout-right", now=0)
    assert refused.value.status == 503
    assert refused.value.retry_after is not None


def test_a_key_that_is_not_in_the_next_snapshot_is_not_let_in_any_more():
    directory = directory_of(known("sk-turnout-right"))
    directory.replace(Snapshot.of((), pepper=PEPPER))
    with pytest.raises(Unauthorized):
        directory.principal("sk-turnout-right", now=0)


def test_a_scope_that_a_key_lacks_is_a_403():
    principal = Principal(scopes=frozenset({Scope.CHAT}))
    principal.require(Scope.CHAT)
    with pytest.raises(ScopeMissing) as refused:
        principal.require(Scope.ADMIN)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("models", "names", "allowed"),
    [
        (None, ["anything"], True),
        ((), ["anything"], False),
        (("coder",), ["coder"], True),
        (("coder",), ["coder2"], False),
        (("llama3.2",), ["llama3.2:latest"], True),
        (("desk/*",), ["m", "desk/m"], True),
        (("desk/*",), ["m"], False),
        (("coder",), ["auto"], False),
    ],
)
def test_a_key_may_use_the_models_that_it_names(models, names, allowed):
    assert Principal(models=models).may_use(names) is allowed


def test_a_model_that_is_not_allowed_is_named_as_the_parameter():
    with pytest.raises(ModelNotAllowed) as refused:
        Principal(models=()).require_model("m")
    assert (refused.value.status, refused.value.param) == (403, "model")
