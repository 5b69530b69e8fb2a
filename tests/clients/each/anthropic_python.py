"""Anthropic's SDK for Python."""

from tests.clients.client import Library
from tests.clients.kits import PYTHON

CLIENT = Library(name="anthropic-python", kit=PYTHON, package="anthropic", driver="drivers/anthropic_python.py")
