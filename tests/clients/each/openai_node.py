"""OpenAI's SDK for Node.js."""

from tests.clients.client import NODE_DRIVING, Library
from tests.clients.kits import NODE

CLIENT = Library(name="openai-node", kit=NODE, package="openai", driver="node/openai.mjs", interpreter=NODE_DRIVING)
