"""A backend that cannot be used: not reached, not let in, or not what its type says. Pure."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from router.doctor.findings import CLAUDE, LLAMA_CPP, OLLAMA, OPENAI, BackendFindings, Complaint, Contact
from router.errors import BackendBusy, BackendRefusedKey, RateLimited
from router.settings.address import LOOPBACK_HOSTS

CALLED = {
    OLLAMA: "an Ollama server",
    LLAMA_CPP: "a llama.cpp server",
    OPENAI: "an OpenAI-compatible server",
    CLAUDE: "Anthropic's API",
}
_NO_WAY = {Contact.UNKNOWN_HOST, Contact.REFUSED, Contact.SILENT}

_START = {OLLAMA: "Start it with `ollama serve`", LLAMA_CPP: "Start it with `llama-server -m MODEL.gguf`"}


def about(backend: BackendFindings, *, in_container: bool = False) -> Complaint | None:
    """Why a backend cannot be used; None when it can."""
    if backend.contact is not Contact.ANSWERS or backend.unusable:
        return _unusable(backend) or _unreachable(backend, in_container=in_container)
    if backend.probe is not None:
        return None
    refusals = {401, 403} & {said.status for said in backend.identity.said.values()}
    if refusals or isinstance(backend.error, BackendRefusedKey):
        return _refused_key(backend)
    if backend.kind == CLAUDE and isinstance(backend.error, (BackendBusy, RateLimited)):
        what = f"it takes no requests for now ({backend.error.message})."
        mend = "Try again in a minute; if it goes on, look at the limits of the account."
        return wrong(backend, "busy", what=what, mend=mend, severity="warning")
    if backend.identity.is_loading:
        what, mend = "it is still loading its model.", "Try again in a minute."
        return wrong(backend, "loading", what=what, mend=mend, severity="warning")
    return next(_strange(backend))


def wrong(
    backend: BackendFindings, code: str, *, what: str, mend: str, key: str = "", severity: str = "error"
) -> Complaint:
    """A complaint about a backend, or about one `key` of its settings."""
    place = f"backends.{backend.name}{'.' if key else ''}{key}"
    return Complaint(code=code, severity=severity, place=place, what=what, mend=mend)


def _unusable(backend: BackendFindings) -> Complaint | None:
    """A process that the router could not start."""
    if not backend.unusable:
        return None
    first = backend.unusable[0]
    mend = f"{first.hint.capitalize()}." if first.hint else "Mend that setting; `turnout check` lists all of them."
    return wrong(backend, "unusable", what=f"{first.message}.", mend=mend, key=".".join(map(str, first.loc)))


def _unreachable(backend: BackendFindings, *, in_container: bool) -> Complaint:
    place, address = f"backends.{backend.name}.url", backend.address
    match backend.contact:
        case Contact.UNKNOWN_HOST:
            what = f"the host name {backend.host} is unknown."
            mend = f"Check its spelling in {place}, or write the machine's IP address."
        case Contact.REFUSED:
            what = f"nothing listens at {address}."
            mend = _where_instead(backend, in_container=in_container)
        case Contact.BAD_CERTIFICATE:
            what = f"the certificate of {address} is not trusted."
            mend = "Install its authority's certificate on this machine, or use http:// inside your own network."
        case Contact.NOT_HTTP:
            what = f"what listens at {address} does not speak the protocol that {place} names."
            mend = f"Check the port, and whether {place} should begin with http or https."
        case _:
            what = f"{address} does not answer in time."
            mend = f"Check the address in {place}, and that no firewall is in between."
    if backend.kind == CLAUDE and backend.contact in _NO_WAY:
        mend = f"Check that this machine gets there (no proxy is used), and {place} if you have set it."
    return wrong(backend, backend.contact.value, what=what, mend=mend, key="url")


def _where_instead(backend: BackendFindings, *, in_container: bool) -> str:
    place = f"backends.{backend.name}.url"
    for url, kind in backend.elsewhere.items():
        if kind == backend.kind:
            return f"Set {place} to {url}, where {CALLED[kind]} answers."
    start = _START.get(backend.kind, "Start it")
    if in_container and backend.host in LOOPBACK_HOSTS:
        outside = f"{backend.host} is this container: if it runs outside, name host.docker.internal in {place}"
        return f"{start} ({outside})."
    return f"{start}, or set {place} to where it listens."


def _refused_key(backend: BackendFindings) -> Complaint:
    place = f"backends.{backend.name}.api_key"
    if backend.settings.api_key is None and not backend.settings.headers:
        what, mend = "it asks for a key and none is set.", f"Set {place}."
    else:
        what, mend = "it refuses the key that is set.", f"Check {place}, and the variable that it may come from."
    return wrong(backend, "key_refused", what=what, mend=mend, key="api_key")


def _strange(backend: BackendFindings) -> Iterator[Complaint]:
    """It answers, but not like its type: the likeliest reason first, at least one."""
    identity, url = backend.identity, f"backends.{backend.name}.url"
    address, wanted = backend.address, CALLED.get(backend.kind, f"a server of type {backend.kind}")
    statuses = {said.status for said in identity.said.values()}
    if identity.best is not None and backend.kind not in identity.speaks:
        what = f"it is configured as type {backend.kind} but answers like {CALLED[identity.best]}."
        mend = f"Set backends.{backend.name}.type to {identity.best}."
        yield wrong(backend, "wrong_type", what=what, mend=mend, key="type")
    if backend.at_root.best is not None:
        parts = urlsplit(backend.settings.url)
        what = f"nothing is served under the path {parts.path}, but {CALLED[backend.at_root.best]} answers without it."
        mend = f"Set {url} to {parts.scheme}://{parts.netloc}."
        yield wrong(backend, "wrong_path", what=what, mend=mend, key="url")
    if any(said.is_html for said in identity.said.values()):
        what = f"{address} answers with a web page, not like {wanted}."
        mend = f"Check the port and the path in {url}: something else listens there."
        yield wrong(backend, "web_page", what=what, mend=mend, key="url")
    if statuses and max(statuses) >= 500:
        what = f"it answers with status {max(statuses)}."
        yield wrong(backend, "failing", what=what, mend="Read its own log; a restart may help.")
    if statuses and statuses <= {404, 405}:
        what = f"{address} answers 404 to all that {wanted} knows."
        yield wrong(backend, "wrong_path", what=what, mend=f"Check the port and the path in {url}.", key="url")
    told = f" ({backend.error.message})" if backend.error else ""
    what = f"it does not answer like {wanted}{told}."
    yield wrong(backend, "unreadable", what=what, mend=f"Check backends.{backend.name}.type and {url}.")
