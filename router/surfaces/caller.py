"""Who asks: the key's owner, the program, and the hurry, from the headers of a request."""

from litestar.types import Scope

from router.access.principal import Principal
from router.access.principal import Scope as Ability
from router.admission.priority import NAMES, from_header
from router.canonical.caller import Caller
from router.errors import InvalidParameter
from router.surfaces.headers import header
from router.surfaces.source import source_of

PRIORITY_HEADER = b"x-turnout-priority"
ORIGIN_HEADER = b"origin"


def caller_of(scope: Scope, needs: Ability) -> Caller:
    """Raises ScopeMissing, or InvalidParameter for a priority that is none."""
    principal: Principal = scope["state"]["principal"]
    principal.require(needs)
    try:
        priority = from_header(header(scope, PRIORITY_HEADER), principal.priority)
    except KeyError:
        raise InvalidParameter(f"X-Turnout-Priority is one of {', '.join(NAMES)}", param="X-Turnout-Priority") from None
    return Caller(
        user=principal.user,
        source=source_of(list(scope["headers"]), principal.key_name),
        priority=priority,
        local_only=principal.local_only,
        models=principal.models,
        user_id=principal.user_id,
        preferences=principal.preferences,
        may_pull=bool(principal.key_id) or not header(scope, ORIGIN_HEADER),  # a page in a browser needs a key for that
    )
