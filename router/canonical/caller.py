"""Who asks, and how much of a hurry they are in."""

from enum import IntEnum

from msgspec import Struct


class Priority(IntEnum):
    """The class of a request; the lower goes first."""

    INTERACTIVE = 0
    NORMAL = 1
    BATCH = 2


CODING_TOOL = "coding tool"
"""A `source`: a program that writes code."""


class Preferences(Struct, frozen=True, gc=False):
    """What counts when a user names no model: empty text is no preference."""

    default_backend: str = ""
    default_model: str = ""
    fallback_to_claude: bool = False
    use_local_for_code: bool = False


class Caller(Struct, frozen=True, gc=False):
    """`user` is the name of the key, or its digest's beginning, or empty; `source` is the kind of program that calls.

    `local_only` keeps the request on backends of one's own, whatever fails. `priority` is what the key or the request
    itself says; None leaves it to the alias and to how the request looks. `models` names what it may use; None
    is everything. `user_id` is whose private backends are at hand, `preferences` those of the user, if there are any.
    `may_pull` is whether a model may be fetched for the request.
    """

    user: str = ""
    source: str = ""
    priority: Priority | None = None
    local_only: bool = False
    models: tuple[str, ...] | None = None
    user_id: str = ""
    preferences: Preferences | None = None
    may_pull: bool = True


NOBODY = Caller()
