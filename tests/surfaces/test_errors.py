"""Every error has its place in the documented tree and its shape on the wire; every failure of a client is an error."""

import inspect
import json
import re
import ssl
from collections.abc import Iterator

import httpx
import pytest

from adapters.connection import Disconnected
from adapters.pool import Unreachable, UnreachableInTime
from adapters.upstream import translated
from router import errors
from router.dialects.openai_chat import render_error
from router.errors import BackendError, BackendTimeout, BackendUnreachable, RouterError, StreamBroken


def below(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


EVERY_ERROR = [RouterError, *sorted(set(below(RouterError)), key=lambda kind: kind.__name__)]


def drawn() -> dict[str, tuple[str, str]]:
    """Status and code of each class as the docstring draws them."""
    rows = {}
    for line in errors.__doc__.splitlines():
        if found := re.match(r"^[|`\- ]*[|`]- ([A-Z]\w+) {2,}(\w+) +(\(the backend's\)|\w+)", line):
            rows[found[1]] = (found[2], found[3])
    return rows


def parent_drawn(name: str) -> str:
    """The class under which the docstring draws another."""
    path: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"^([|`\- ]*)([A-Z]\w+)", line):
            depth = len(found[1])
            path = [*(entry for entry in path if entry[0] < depth), (depth, found[2])]
            if found[2] == name:
                return path[-2][1]
    raise AssertionError(f"{name} is not drawn")


@pytest.mark.parametrize("kind", EVERY_ERROR[1:], ids=lambda kind: kind.__name__)
def test_an_error_is_drawn_under_its_parent_with_its_status_and_code(kind):
    assert kind.__module__ == "router.errors"
    assert parent_drawn(kind.__name__) == kind.__base__.__name__
    status, code = drawn()[kind.__name__]
    assert status in {str(kind.status), "4xx"}
    assert code in {kind.code, "(the backend's)"}


def test_nothing_is_drawn_that_does_not_exist():
    assert set(drawn()) == {kind.__name__ for kind in EVERY_ERROR[1:]}


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_an_error_is_written_in_openais_shape(kind):
    error = kind("what happened")
    body = json.loads(render_error(error))
    assert body == {"error": {"message": "what happened", "type": kind.kind, "param": None, "code": kind.code}}
    assert 400 <= error.status < 600
    assert str(error) == "what happened"


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_only_a_backends_failure_is_blamed_on_it(kind):
    assert kind.blame in {"nobody", "model", "backend"}
    if not issubclass(kind, BackendError):
        assert kind.blame == "nobody"


ARGUMENTS = [("planted",), ()]


def made(kind: type) -> BaseException:
    """One instance of an exception of an HTTP client, however many arguments it wants."""
    for arguments in ARGUMENTS:
        try:
            return kind(*arguments)
        except (TypeError, AttributeError):
            continue
    return kind("planted", request=httpx.Request("POST", "http://secret.example"), response=httpx.Response(200))


HTTPX = {kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, httpx.HTTPError)}
POOL = {Disconnected, Unreachable, UnreachableInTime}
SYSTEM = {OSError, TimeoutError, ConnectionResetError, BrokenPipeError, ssl.SSLError}
CLIENTS_EXCEPTIONS = sorted(POOL | HTTPX | SYSTEM, key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", CLIENTS_EXCEPTIONS, ids=lambda kind: kind.__qualname__)
@pytest.mark.parametrize("begun", [False, True])
def test_every_exception_of_the_http_client_is_an_error_of_ours(kind, begun):
    with pytest.raises(BackendError) as caught, translated("desk", begun=begun):
        raise made(kind)
    error = caught.value
    assert isinstance(error, BackendUnreachable | BackendTimeout | StreamBroken)
    assert error.message.startswith("desk ")
    assert "planted" not in error.message
    assert "secret.example" not in error.message
    assert error.__cause__ is None


def test_our_own_errors_and_bugs_pass_untouched():
    for raised in (StreamBroken("told already"), KeyError("bug"), ValueError("bug")):
        with pytest.raises(type(raised)) as caught, translated("desk"):
            raise raised
        assert caught.value is raised
