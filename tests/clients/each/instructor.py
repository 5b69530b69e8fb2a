"""Instructor."""

from tests.clients.client import Library
from tests.clients.kits import OPENAI_3

CLIENT = Library(
    name="instructor",
    kit=OPENAI_3,
    package="instructor",
    tier=2,
    driver="drivers/instructor.py",
)
