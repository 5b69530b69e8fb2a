"""Clients that are known to work, and what connects each to a router."""

from router.connect import commands, python
from router.connect.guide import Guide

GUIDES: tuple[Guide, ...] = (*python.GUIDES, *commands.GUIDES)
"""In the order in which they are listed."""


def guide(name: str) -> Guide:
    """Raises KeyError."""
    return {each.name: each for each in GUIDES}[name]
