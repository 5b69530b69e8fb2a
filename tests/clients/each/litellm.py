"""LiteLLM as a library."""

from tests.clients.client import Library
from tests.clients.kits import OPENAI_2

CLIENT = Library(
    name="litellm",
    kit=OPENAI_2,
    package="litellm",
    tier=2,
    driver="drivers/litellm.py",
    environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
)
