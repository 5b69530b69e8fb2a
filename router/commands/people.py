"""`turnout users` and `turnout keys`."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import re
from time import time
from typing import Any

import rich_click as click

from router.commands.remote import ask, show
from router.commands.shared import fail

SCOPES = ("chat", "embed", "admin")
_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_USER_COLUMNS = ("name", "id", "enabled")
_KEY_COLUMNS = ("name", "id", "prefix", "user_id", "scopes", "models", "expires_at", "revoked_at")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def users() -> None:
    """Who has keys."""


@users.command("list")
@json_option
def list_users(*, as_json: bool) -> None:
    """List all users."""
    show(ask("GET", "/api/users"), _USER_COLUMNS, as_json=as_json)


@users.command("add")
@click.argument("name")
@json_option
def add_user(name: str, *, as_json: bool) -> None:
    """Add a user."""
    show([ask("POST", "/api/users", json={"name": name})], _USER_COLUMNS, as_json=as_json)


@users.command("remove")
@click.argument("name")
def remove_user(name: str) -> None:
    """Remove a user with all keys; what was used stays on record."""
    ask("DELETE", f"/api/users/{user_id_of(name)}")


@click.group()
def keys() -> None:
    """API keys."""


@keys.command("list")
@json_option
def list_keys(*, as_json: bool) -> None:
    """List your keys, or as an admin everybody's."""
    show(ask("GET", "/api/keys"), _KEY_COLUMNS, as_json=as_json)


@keys.command("create")
@click.argument("user")
@click.option("--name", default="key", show_default=True, help="What the key is for.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(("chat", "embed", "admin")), help="May be repeated."
)
@click.option("--model", "models", multiple=True, help="What it may use, also with `*`; may be repeated.")
@click.option("--expires", help="After so long, such as 12h, 30d or 8w.")
@click.option("--rpm", type=click.IntRange(1), help="Requests a minute.")
@click.option("--tpm", type=click.IntRange(1), help="Tokens a minute.")
@click.option("--daily", type=click.IntRange(1), help="Tokens a day (UTC).")
@json_option
def create_key(user: str, *, as_json: bool, **terms: Any) -> None:
    """Make a key for USER. It is printed now and never again."""
    made = ask("POST", "/api/keys", json={"user_id": user_id_of(user), **_terms(terms)})
    show([made], ("id", "key"), as_json=as_json)


@keys.command("revoke")
@click.argument("key_id")
def revoke_key(key_id: str) -> None:
    """End a key for good."""
    ask("DELETE", f"/api/keys/{_plain(key_id)}")


def _terms(given: dict[str, Any]) -> dict[str, Any]:
    """What was said about a key, in the API's words; the rest is the router's default."""
    terms = {
        "name": given["name"],
        "scopes": list(given["scopes"]) or None,
        "models": list(given["models"]) or None,
        "requests_per_minute": given["rpm"],
        "tokens_per_minute": given["tpm"],
        "tokens_per_day": given["daily"],
        "expires_at": time() + _seconds(given["expires"]) if given["expires"] else None,
    }
    return {name: value for name, value in terms.items() if value is not None}


def _seconds(text: str) -> int:
    written = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text.strip())
    if written is None:
        fail("--expires is a number of hours, days or weeks: 12h, 30d, 8w", status=2)
    return int(written[1]) * _UNITS_S[written[2]]


def user_id_of(named: str) -> str:
    """The id of a user by name or id."""
    found = [user["id"] for user in ask("GET", "/api/users") if named in {user["name"], user["id"]}]
    if not found:
        fail(f"there is no user {named}")
    return found[0]


def _plain(given: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", given):
        fail("that is no id: `turnout keys list` shows them", status=2)
    return given
