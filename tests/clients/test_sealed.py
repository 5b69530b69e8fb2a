"""The network that clients run in."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.running import Surroundings, Transcript, run
from tests.sdk.stage import Stage

ELSEWHERE = "192.0.2.1"
"""An address of nobody, for documents."""
LOOKS = """
import socket, sys, urllib.request
def reached(host, port):
    try:
        socket.create_connection((host, port), 5).close()
        return "reached"
    except OSError as error:
        return type(error).__name__ + ": " + str(error)
print(urllib.request.urlopen(sys.argv[1] + "/health/live", timeout=10).status)
print(reached("192.0.2.1", 80))
print(socket.if_nameindex())
"""


@pytest.fixture
def looked(client_stage: Stage, prefix: Sequence[str], tmp_path: Path) -> Transcript:
    """What a client sees of the world."""
    if not prefix:
        pytest.skip("this kernel makes no network namespaces for us: clients run in the open")
    around = Surroundings(tmp_path, {"PATH": "/usr/bin:/bin"}, prefix)
    around.folder.mkdir()
    return run([sys.executable, "-I", "-c", LOOKS, client_stage.url], around, deadline_s=30)


def test_a_client_reaches_the_router_and_nobody_else(looked: Transcript) -> None:
    status, elsewhere, interfaces = looked.text.splitlines()
    assert (status, "unreachable" in elsewhere) == ("200", True), looked
    assert json.loads(interfaces.replace("(", "[").replace(")", "]").replace("'", '"')) == [[1, "lo"]]
