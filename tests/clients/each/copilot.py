"""The GitHub Copilot CLI, by each of the three formats that it speaks."""

from tests.clients.client import Program
from tests.clients.kits import NODE
from tests.fakes import ToolUse

SHELL = ToolUse("bash", {"command": "echo red$((40 + 2))fox", "description": "Says a word"})
PROOF = "red42fox"

CLIENTS = [
    Program(
        name=name,
        kit=NODE,
        package="@github/copilot",
        uses=SHELL,
        proof=PROOF,
        asks_again=True,
        cannot={
            "real": "to read its 5,000 tokens of instructions takes a machine without a graphics card half a minute"
        },
        more={"tools": ("--allow-all-tools",)},
        environment={"COPILOT_AUTO_UPDATE": "false"},
        everywhere=everywhere,
    )
    for name, everywhere in (
        ("copilot", ("chat", "tools", "broken")),
        ("copilot-responses", ("tools",)),
        ("copilot-messages", ("tools",)),
    )
]
