"""Codex."""

from tests.clients.client import Program
from tests.clients.kits import NODE_ALL
from tests.clients.scenes import SCENES
from tests.fakes import ToolUse

QUIET = ("-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false")

CLIENT = Program(
    name="codex",
    kit=NODE_ALL,
    package="@openai/codex",
    tier=2,
    uses=ToolUse("exec_command", {"cmd": "echo red$((40 + 2))fox"}),
    proof="red42fox",
    asks_again=True,
    cannot={"real": "its tools cannot be left out, and the template of the real model knows none"},
    more={scene.name: QUIET for scene in SCENES} | {"tools": (*QUIET, "-s", "danger-full-access")},
)
