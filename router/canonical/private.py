"""Names of backends that belong to one user, so that two users may give one name and no name gives away another's."""

MARK = "@"
PRIVATE = "private"


def private_name(name: str, owner_id: str) -> str:
    """What the router calls a user's own backend; no name of the settings has the mark."""
    return f"{name}{MARK}{owner_id}"


def public_label(backend: str) -> str:
    """The name for those who may not know more, as in metrics: all private backends are one there."""
    return PRIVATE if MARK in backend else backend
