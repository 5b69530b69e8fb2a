"""Addresses of backends."""

from collections.abc import Container
from ipaddress import ip_address
from urllib.parse import urlsplit

CLAUDE_URL = "https://api.anthropic.com"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_ENDPOINT_SUFFIXES = (
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/models",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/tags",
    "/api",
    "/v1",
)

_NO_ADDRESS = "must be an http or https address, such as http://127.0.0.1:11434"

_OWN_DOMAINS = (".local", ".lan", ".home", ".internal", ".localhost", ".home.arpa")


def is_local(host: str) -> bool:
    """Whether a host is this machine or one of the same network, as far as its name or address tells.

    Names are not looked up: one with a public domain is taken for a stranger's.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host in LOOPBACK_HOSTS or "." not in host or host.endswith(_OWN_DOMAINS)
    return not address.is_global and not address.is_multicast


def is_served_here(url: str, own_ports: Container[int]) -> bool:
    """Whether a URL leads to the router itself: to this machine, at one of its own ports."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.hostname in LOOPBACK_HOSTS and port in own_ports


def normalise_url(url: str) -> str:
    """The root of a backend: scheme and host, plus a path prefix if there is one, without endpoint or slash.

    Raises ValueError, which never repeats the URL, for anything that is not http or https with a host, or that
    carries credentials, a query or a fragment.
    """
    text = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(text)
        reachable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(_NO_ADDRESS) from None
    if "@" in parts.netloc:
        raise ValueError("a user name or password does not belong in a URL: use api_key or headers")
    if "?" in text or "#" in text:
        raise ValueError("a backend URL has no query and no fragment")
    if not reachable or parts.netloc.endswith(":") or not text.isprintable() or " " in text:
        raise ValueError(_NO_ADDRESS)
    return f"{parts.scheme}://{parts.netloc}{_without_endpoint(parts.path.rstrip('/'))}"


def _without_endpoint(path: str) -> str:
    for suffix in _ENDPOINT_SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix).rstrip("/")
    return path
