"""What holds between sections of the settings."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import JsonValue
from pydantic_core import InitErrorDetails, PydanticCustomError

from router.settings.address import CLAUDE_URL, LOOPBACK_HOSTS, is_local, is_served_here, normalise_url
from router.settings.fields import Location


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two parts of a file that are right alone and wrong together; `loc` is where to mend it."""

    loc: Location
    message: str
    hint: str | None = None

    def details(self) -> InitErrorDetails:
        """As pydantic reports it: type `conflict`, with `message` and `hint` in its context."""
        context = {"message": self.message, "hint": self.hint}
        return InitErrorDetails(type=PydanticCustomError("conflict", "{message}", context), loc=self.loc, input=None)


def cross_check(document: Mapping[str, JsonValue]) -> list[Conflict]:
    """What holds between sections.

    Takes the file as plain values and skips what has the wrong shape, so it also works beside other errors.
    """
    found = (_exposed, _own_ports, _keyless_database, _keyless, _leading_nowhere, _leading_away, _grouped, _crowded)
    return [conflict for check in found for conflict in check(document)]


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be."""
    folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.65)
    return folded[close[0]] if close else None


def _exposed(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    host, auth = _mapping(document.get("server")).get("host"), _mapping(document.get("auth"))
    guarded = auth.get("api_keys") or auth.get("required") is True or auth.get("open") not in (None, False)
    if isinstance(host, str) and host not in LOOPBACK_HOSTS and not guarded:
        yield Conflict(
            ("server", "host"),
            f"{host} is reachable from other machines but no key is asked",
            "set auth.api_keys, auth.required: true for keys of the database, or auth.open: true to accept everybody",
        )


def _keyless_database(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    """Keys are asked, and there can be none."""
    server, auth = _mapping(document.get("server")), _mapping(document.get("auth"))
    database = _mapping(document.get("database"))
    has_none = database.get("enabled") is False or (server.get("data_dir", "") is None and not database.get("url"))
    if auth.get("required") is True and not auth.get("api_keys") and has_none:
        yield Conflict(("auth", "required"), "there is no key and no database for one", "set auth.api_keys or database")


def _own_ports(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    """The mirror's port is not the router's own, and no backend is there: requests would go round for ever."""
    server = _mapping(document.get("server"))
    port = server.get("ollama_port")
    if not isinstance(port, int) or isinstance(port, bool):
        return
    if port == server.get("port"):
        yield Conflict(
            ("server", "ollama_port"), f"{port} is server.port too", "leave ollama_port out, or choose another"
        )
    for name, settings in _mapping(document.get("backends")).items():
        url = _mapping(settings).get("url")
        if isinstance(url, str) and _leads_here(url, port):
            hint = "let Ollama listen on another port (OLLAMA_HOST) and name that here"
            yield Conflict(
                ("backends", name, "url"), f"the router itself listens there, on server.ollama_port {port}", hint
            )


def _leads_here(url: str, port: int) -> bool:
    try:
        return is_served_here(normalise_url(url), {port})
    except ValueError:
        return False


def _keyless(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    """Claude at its usual address without a key."""
    for name, settings in _mapping(document.get("backends")).items():
        backend = _mapping(settings)
        url = backend.get("url")
        elsewhere = isinstance(url, str) and url != CLAUDE_URL
        has_key = backend.get("api_key") or backend.get("headers") or backend.get("enabled") is False
        if backend.get("type") == "claude" and not elsewhere and not has_key:
            yield Conflict(("backends", name), 'missing key "api_key"', "Claude answers nobody without one")


def _leading_nowhere(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    backends, models = document.get("backends", {}), document.get("models", {})
    if not isinstance(backends, dict) or not isinstance(models, dict):
        return
    routing = _mapping(document.get("routing"))
    default = routing.get("default_model")
    for alias, model in models.items():
        targets = _mapping(model).get("targets")
        for position, target in enumerate(targets if isinstance(targets, list) else []):
            yield from _unless_it_leads(target, ("models", alias, "targets", position), backends=backends)
    for task, name in _mapping(routing.get("tasks")).items():
        yield from _unless_it_leads(name, ("routing", "tasks", task), backends=backends, aliases=models)
    yield from _unless_it_leads(default, ("routing", "default_model"), backends=backends, aliases=models)


def _leading_away(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    """Aliases that must stay local and cannot."""
    backends = _mapping(document.get("backends"))
    for alias, settings in _mapping(document.get("models")).items():
        model = _mapping(settings)
        targets = model.get("targets")
        named = {target.partition("/")[0] for target in _texts(targets)}
        if model.get("local_only") is True and named and all(_is_hosted(backends.get(name)) for name in named):
            hint = "add a local target, or set local: true on a backend that is your own"
            yield Conflict(("models", alias, "local_only"), "no target of it is local", hint)


def _is_hosted(settings: JsonValue) -> bool:
    """As the settings of a backend see it; what cannot be told is not."""
    backend = _mapping(settings)
    local, url = backend.get("local"), backend.get("url")
    if isinstance(local, bool):
        return not local
    if backend.get("type") == "claude" or not isinstance(url, str):
        return backend.get("type") == "claude"
    try:
        return not is_local(urlsplit(normalise_url(url)).hostname or "")
    except ValueError:
        return False


def _texts(value: JsonValue) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _grouped(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    """Members of groups are backends, each of one group."""
    backends, groups = document.get("backends", {}), _mapping(document.get("groups"))
    seen: set[str] = set()
    for group, settings in groups.items():
        members = _mapping(settings).get("members")
        for position, member in enumerate(members if isinstance(members, list) else []):
            loc: Location = ("groups", group, "members", position)
            if isinstance(member, str) and isinstance(backends, dict) and member not in backends:
                near = nearest(member, backends)
                hint = f'did you mean "{near}"?' if near else f"backends: {', '.join(backends) or 'none'}"
                yield Conflict(loc, f'"{member}" is not in backends', hint)
            elif isinstance(member, str) and member in seen:
                yield Conflict(loc, f'"{member}" is in a group already')
            if isinstance(member, str):
                seen.add(member)


def _crowded(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    """Processes of a group that cannot have the memory that they need."""
    backends = _mapping(document.get("backends"))
    for group, settings in _mapping(document.get("groups")).items():
        memory = _mapping(settings).get("memory")
        if not isinstance(memory, int):
            continue
        launched = {name: _launched(backends.get(name)) for name in _texts(_mapping(settings).get("members"))}
        sizes = {name: launch.get("memory") for name, launch in launched.items() if launch}
        if not sizes:
            yield Conflict(("groups", group, "memory"), "no member of it has launch, so nothing can be made to fit")
        lasting = sum(_number(sizes[name]) for name in sizes if launched[name].get("when") == "always")
        if lasting > memory:
            message = "its members that run always need more than that"
            yield Conflict(("groups", group, "memory"), message, "make one of them on_demand, or give it more")
        for name, size in sizes.items():
            if memory < _number(size):
                yield Conflict(("backends", name, "launch", "memory"), f"is more than the group {group} has")


def _launched(backend: JsonValue) -> dict[str, JsonValue]:
    return _mapping(_mapping(backend).get("launch"))


def _number(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0


def _unless_it_leads(
    name: JsonValue, loc: Location, *, backends: Iterable[str], aliases: Iterable[str] | None = None
) -> Iterator[Conflict]:
    if not isinstance(name, str) or name in (aliases or ()):
        return
    backend, _, model = name.partition("/")
    if not model or not backend:
        written = "is not written as backend/model" if aliases is None else "is neither an alias nor backend/model"
        near = nearest(name, aliases or ())
        message = f'"{name}" {written}'
    elif backend not in backends:
        near = nearest(backend, backends)
        message = f'"{name}" names the backend "{backend}", which is not in backends'
    else:
        return
    known = ", ".join(backends) or "none"
    yield Conflict(loc, message, f'did you mean "{near}"?' if near else f"backends: {known}")


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
