"""OpenAI's SDK for Python."""

from tests.clients.client import Library
from tests.clients.kits import PYTHON

CLIENT = Library(name="openai-python", kit=PYTHON, package="openai", driver="drivers/openai_python.py")
