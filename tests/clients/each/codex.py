"""Codex."""

from tests.clients.client import Program
from tests.clients.kits import NODE_ALL
from tests.fakes import ToolUse

CLIENT = Program(
    name="codex",
    kit=NODE_ALL,
    package="@openai/codex",
    tier=2,
    uses=ToolUse("exec_command", {"cmd": "echo red$((40 + 2))fox"}),
    proof="red42fox",
    asks_again=True,
    cannot={"real": "its tools cannot be left out, and the template of the real model knows none"},
    more={"tools": ("-s", "danger-full-access")},
)
