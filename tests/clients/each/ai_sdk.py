"""The Vercel AI SDK over three of its providers."""

from tests.clients.client import NODE_DRIVING, Library
from tests.clients.kits import NODE

CLIENTS = [
    Library(name=name, kit=NODE, package="ai", driver="node/ai_sdk.mjs", interpreter=NODE_DRIVING)
    for name in ("ai-sdk", "ai-sdk-responses", "ai-sdk-messages")
]
