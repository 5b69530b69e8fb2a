"""Mistral Vibe."""

from tests.clients.client import Program
from tests.clients.kits import PYTHON_VIBE
from tests.fakes import ToolUse

CLIENT = Program(
    name="mistral-vibe",
    kit=PYTHON_VIBE,
    package="mistral-vibe",
    tier=2,
    uses=ToolUse("bash", {"command": "echo red$((40 + 2))fox"}),
    proof="red42fox",
    asks_again=True,
    cannot={
        "long": "it sums up by itself what is over the window, and shows the refusal only then",
        "real": "some of its tools cannot be left out, and the template of the real model knows none",
    },
    more={"tools": ("--auto-approve",)},
    deadline_s=150,
    environment={"VIBE_ENABLE_TELEMETRY": "false", "VIBE_ENABLE_UPDATE_CHECKS": "false"},
    everywhere=("chat", "tools", "broken"),
)
