"""opencode."""

from tests.clients.client import Program
from tests.clients.kits import NODE_ALL
from tests.fakes import ToolUse

CLIENT = Program(
    name="opencode",
    kit=NODE_ALL,
    package="opencode-ai",
    tier=2,
    uses=ToolUse("bash", {"command": "echo red$((40 + 2))fox", "description": "Says a word"}),
    proof="red42fox",
    asks_again=True,
    cannot={"real": "its tools cannot be left out, and the template of the real model knows none"},
    environment={
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    },
    everywhere=("chat", "tools", "broken"),
)
