"""What a look at every backend found, before anybody judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from router.canonical.models import Probe
from router.errors import RouterError
from router.settings.backends import BackendSettings
from router.settings.checks import Conflict
from router.usage.calibration import Kind, Ratio

OLLAMA = "ollama"
LLAMA_CPP = "llama_cpp"
OPENAI = "openai"
CLAUDE = "claude"


class Contact(Enum):
    """How far a connection came."""

    ANSWERS = "answers"
    UNKNOWN_HOST = "unknown_host"
    REFUSED = "refused"
    SILENT = "silent"
    NOT_HTTP = "not_http"
    BAD_CERTIFICATE = "bad_certificate"


@dataclass(frozen=True, slots=True)
class Said:
    """What one GET was answered with."""

    status: int
    is_html: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """What answers at an address: the types it could be used as, and what each path said."""

    speaks: frozenset[str] = frozenset()
    said: Mapping[str, Said] = field(default_factory=dict[str, Said])
    is_ollama: bool = False
    is_loading: bool = False

    @property
    def best(self) -> str | None:
        """The type that suits it best."""
        return next((kind for kind in (OLLAMA, LLAMA_CPP, OPENAI) if kind in self.speaks), None)


NOBODY = Identity()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFindings:
    """One backend. `at_root` is who answers without the URL's path, `elsewhere` who answers at other usual ports.

    `skew_s` is how far its clock is ahead of ours, in seconds. `limits` are the most tokens that a model can hold,
    for models with a promised context. `probe` or `error` is what the adapter found,
    within `latency_s`. `unusable` is what a process that the router is to run lacks.
    """

    name: str
    settings: BackendSettings
    contact: Contact
    identity: Identity = NOBODY
    at_root: Identity = NOBODY
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])
    skew_s: float | None = None
    probe: Probe | None = None
    latency_s: float | None = None
    error: RouterError | None = None
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    unusable: tuple[Conflict, ...] = ()

    @property
    def kind(self) -> str:
        return self.settings.type

    @property
    def whereabouts(self) -> str:
        """Where it is, for people."""
        return "run by the router" if self.settings.launch is not None else f"at {self.settings.url}"

    @property
    def host(self) -> str:
        return urlsplit(self.settings.url).hostname or ""

    @property
    def address(self) -> str:
        """Host and port."""
        return urlsplit(self.settings.url).netloc


@dataclass(frozen=True, slots=True)
class Promise:
    """A place in the settings that leads to a model; `embedding` None means for whatever is asked."""

    place: str
    backend: str
    model: str
    embedding: bool | None = None
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything; `optional` backends are only looked for, `estimates` is what is known of those of prompts."""

    backends: tuple[BackendFindings, ...]
    promises: tuple[Promise, ...] = ()
    optional: frozenset[str] = frozenset()
    in_container: bool = False
    estimates: tuple[tuple[Kind, Ratio], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that is wrong: one sentence of what, one of how to mend it. An error fails requests."""

    code: str
    severity: str
    place: str
    what: str
    mend: str
