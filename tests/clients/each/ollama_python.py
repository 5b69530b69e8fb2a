"""Ollama's package for Python."""

from tests.clients.client import Library
from tests.clients.kits import PYTHON

CLIENT = Library(
    name="ollama-python", kit=PYTHON, package="ollama", driver="drivers/ollama_python.py", tries_again=False
)
