"""Continue's command `cn`."""

from tests.clients.client import Program
from tests.clients.kits import NODE
from tests.fakes import ToolUse

CLIENT = Program(
    name="continue",
    kit=NODE,
    package="@continuedev/cli",
    uses=ToolUse("Bash", {"command": "echo red$((40 + 2))fox"}),
    proof="red42fox",
    asks_again=True,
    cannot={"real": "its tools cannot be left out, and the template of the real model knows none"},
    more={"tools": ("--auto",)},
    environment={"CONTINUE_TELEMETRY_ENABLED": "0", "CONTINUE_ALLOW_ANONYMOUS_TELEMETRY": "0"},
    everywhere=("chat", "tools", "broken"),
)
