"""LangChain's models of OpenAI, for Python."""

from tests.clients.client import Library
from tests.clients.kits import PYTHON

CLIENT = Library(name="langchain-openai", kit=PYTHON, package="langchain-openai", driver="drivers/langchain_openai.py")
