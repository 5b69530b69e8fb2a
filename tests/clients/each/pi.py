"""pi."""

from tests.clients.client import Program
from tests.clients.kits import NODE
from tests.fakes import ToolUse

CLIENT = Program(
    name="pi",
    kit=NODE,
    package="@mariozechner/pi-coding-agent",
    uses=ToolUse("bash", {"command": "echo red$((40 + 2))fox"}),
    proof="red42fox",
    more={"real": ("--no-tools",)},
    cannot={"long": "it shortens the conversation in silence, and ends without a word when that is not enough"},
    environment={"PI_OFFLINE": "1", "PI_TELEMETRY": "0"},
    everywhere=("chat", "tools", "broken"),
)
