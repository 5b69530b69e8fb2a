"""Clients that are known to work, and what connects each to a router."""

from router.connect import assistants, commands, javascript, python
from router.connect.guide import Guide

GUIDES: tuple[Guide, ...] = (*python.GUIDES, *javascript.GUIDES, *commands.GUIDES, *assistants.GUIDES)
"""In the order in which they are listed."""


def guide(name: str) -> Guide:
    """Raises KeyError."""
    return {each.name: each for each in GUIDES}[name]
