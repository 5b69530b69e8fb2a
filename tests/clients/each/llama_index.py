"""LlamaIndex."""

from tests.clients.client import Library
from tests.clients.kits import OPENAI_2

CLIENT = Library(
    name="llama-index",
    kit=OPENAI_2,
    package="llama-index-llms-openai-like",
    tier=2,
    driver="drivers/llama_index.py",
)
