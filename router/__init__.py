"""Turnout: an OpenAI-compatible router in front of the models you already have."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("turnout")
except PackageNotFoundError:
    __version__ = "0.0.0"
