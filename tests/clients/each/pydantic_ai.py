"""Pydantic AI."""

from tests.clients.client import Library
from tests.clients.kits import PYTHON

CLIENT = Library(name="pydantic-ai", kit=PYTHON, package="pydantic-ai-slim", driver="drivers/pydantic_ai.py")
