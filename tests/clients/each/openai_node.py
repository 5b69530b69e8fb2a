"""OpenAI's SDK for Node.js."""

from tests.clients.client import NODE_DRIVING, Library
from tests.clients.kits import NODE_SDKS

CLIENT = Library(
    name="openai-node", kit=NODE_SDKS, package="openai", driver="drivers/openai_node.mjs", interpreter=NODE_DRIVING
)
