"""LangChain's models of OpenAI, for Node.js."""

from tests.clients.client import NODE_DRIVING, Library
from tests.clients.kits import NODE_ALL

CLIENT = Library(
    name="langchain-js",
    kit=NODE_ALL,
    package="@langchain/openai",
    tier=2,
    driver="drivers/langchain.mjs",
    interpreter=NODE_DRIVING,
)
