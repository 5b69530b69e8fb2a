"""What the dialect is called, and what of an alias it understands."""

NAME = "anthropic_messages"

NATIVE_OPTIONS = frozenset({"thinking", "output_config", "service_tier", "speed", "inference_geo", "container"})
"""Alias options that are fields of the body: sent as given, unless the client's own parameters say otherwise."""
