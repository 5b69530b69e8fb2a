"""OpenAI's SDK for agents."""

from tests.clients.client import Library
from tests.clients.kits import OPENAI_3

CLIENT = Library(name="openai-agents", kit=OPENAI_3, package="openai-agents", tier=2, driver="drivers/openai_agents.py")
