"""What people send to `/api`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from router.access.networks import parse_network
from router.settings.fields import PriorityName, ScopeName, Section


def _is_stored_as_it_is(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("a name is one line of visible text")
    return text


def _is_a_network(text: str) -> str:
    try:
        return str(parse_network(text))
    except ValueError:
        raise ValueError("a network is an address or CIDR, such as 10.0.0.0/8") from None


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_is_stored_as_it_is)]
Limit = Annotated[int, Field(ge=1, le=2**53)]


class NewUser(Section):
    """A person or a program; the name is shown in the queue and in usage."""

    name: Name


class UserChange(Section):
    """Keys of a user who is not enabled are not valid."""

    enabled: bool


class NewKey(Section):
    """A key for a user; times are seconds since 1970, limits are without limit when absent."""

    user_id: str
    name: Name
    scopes: tuple[ScopeName, ...] = ("chat", "embed")
    models: tuple[Name, ...] | None = Field(default=None, max_length=100)
    priority: PriorityName | None = None
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    tokens_per_day: Limit | None = None
    expires_at: Annotated[float, Field(gt=0, le=2**53)] | None = None


class NewNetwork(Section):
    """A network from which one may `call` without a key, or outside of which nobody may `admin`ister."""

    network: Annotated[str, Field(max_length=64), AfterValidator(_is_a_network)]
    allows: Literal["call", "admin"]


class PreferencesForm(Section):
    """What counts for a user who names no model; empty text is no preference."""

    default_backend: Annotated[str, Field(max_length=100)] = ""
    default_model: Annotated[str, Field(max_length=200)] = ""
    fallback_to_claude: bool = False
    use_local_for_code: bool = False
