"""What a person writes in `turnout.yaml`: pydantic models, every unknown key an error."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError

Location = tuple[str | int, ...]

BackendKind = Literal["ollama", "llama_cpp", "openai", "claude"]

CLAUDE_URL = "https://api.anthropic.com"

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
MIN_CALLER_KEY = 8
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
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE_ASCII = re.compile(r"[!-~]*")


def _fits_a_header(key: SecretStr) -> SecretStr:
    if not _VISIBLE_ASCII.fullmatch(key.get_secret_value()):
        raise ValueError("a key is visible ASCII: no space, no line break")
    return key


def _is_long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < MIN_CALLER_KEY:
        raise ValueError(f"an API key needs at least {MIN_CALLER_KEY} characters")
    return key


Seconds = Annotated[float, Field(gt=0)]
BackendName = Annotated[str, Field(pattern=NAME_PATTERN)]
Key = Annotated[SecretStr, AfterValidator(_fits_a_header)]
CallerKey = Annotated[Key, AfterValidator(_is_long_enough)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        wanted = cast("object", cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and wanted in {int, float, int | None}:
            raise PydanticKnownError("float_type" if wanted is float else "int_type")
        return value


class ServerSettings(_Section):
    """Where the router listens and what it accepts from clients."""

    host: str = Field(default="127.0.0.1", description="Address to listen on. Anything but loopback needs `auth`.")
    port: int = Field(default=7070, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    max_body_bytes: int = Field(
        default=32 * 1024 * 1024, gt=0, description="Largest request body, counted while reading."
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins a browser page may call from; `*` allows all. Empty: CORS is off."
    )
    keepalive_s: Seconds = Field(
        default=15, description="Silence on a stream, in seconds, before a `: ping` comment is sent."
    )
    drain_s: Annotated[float, Field(ge=0)] = Field(
        default=30, description="How long running answers may go on after SIGTERM, in seconds."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    log_requests: bool = Field(
        default=True, description="One line of log for every request, at level info. Never content, never keys."
    )
    otel: bool = Field(
        default=False,
        description="OpenTelemetry traces over OTLP/HTTP (extra `otel`). The variable `OTEL_EXPORTER_OTLP_ENDPOINT` "
        "turns it on too, and says where to.",
    )


class AuthSettings(_Section):
    """Who may call."""

    api_keys: tuple[CallerKey, ...] = Field(
        default=(), description="Keys that clients send as `Authorization: Bearer KEY`. Empty: no key is asked."
    )
    open: bool = Field(
        default=False, description="Allows an address other than loopback without any key. Know your network."
    )


class Timeouts(_Section):
    """How long to wait for a backend; all in seconds."""

    connect: Seconds = Field(default=5, description="To open a connection.")
    first_token: Seconds = Field(
        default=300, description="From sending the request to its first byte: queue, load, prompt."
    )
    idle: Seconds = Field(default=120, description="Between two pieces of a stream.")
    total: Seconds = Field(default=600, description="For a whole request, all attempts together.")


def _without_url_for_claude(schema: dict[str, Any]) -> None:
    schema["required"].remove("url")


class BackendSettings(_Section):
    """One model server."""

    model_config = ConfigDict(json_schema_extra=_without_url_for_claude)

    type: BackendKind = Field(
        description="What it speaks: `ollama`, `llama_cpp`, `claude`, or `openai` for any compatible one."
    )
    url: str = Field(
        description="Its address. A trailing `/v1`, `/api/chat` or slash makes no difference. "
        "`claude` may leave it out: Anthropic's own."
    )
    api_key: Key | None = Field(default=None, description="Sent to this backend as a bearer token.")
    enabled: bool = Field(default=True, description="Off: it is listed but gets no work.")
    max_parallel: int | None = Field(
        default=None, ge=1, description="Most requests at once; the rest wait. Default: no limit."
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long to wait for it.")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further headers sent with every request to it."
    )
    models: tuple[str, ...] = Field(default=(), description="Its models, for a server that cannot list them.")
    embedding_batch: int | None = Field(
        default=None, ge=1, description="Most inputs in one embedding request; larger batches are split and rejoined."
    )
    stream: bool = Field(
        default=True,
        description="Off: it cannot stream. Clients get its whole answers as streams; `first_token` bounds all of one.",
    )
    whole_only: tuple[str, ...] = Field(
        default=(), description="Models of it that cannot stream, like `stream: false`."
    )
    stream_only: tuple[str, ...] = Field(
        default=(), description="Models of it that answer in streams only; `*` is every model."
    )

    @model_validator(mode="before")
    @classmethod
    def _claude_has_an_address(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = cast("Mapping[str, Any]", given)
        is_known = fields.get("type") == "claude" and fields.get("url") is None
        return {**fields, "url": CLAUDE_URL} if is_known else fields

    @field_validator("url")
    @classmethod
    def _url_is_a_root(cls, url: str) -> str:
        return normalise_url(url)

    @field_validator("api_key")
    @classmethod
    def _empty_key_is_none(cls, key: SecretStr | None) -> SecretStr | None:
        return key if key is not None and key.get_secret_value() else None

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if not all(_HEADER_NAME.fullmatch(name) for name in headers):
            raise ValueError("a header name has letters, digits and hyphens only")
        if not all(value.get_secret_value().replace("\t", " ").isprintable() for value in headers.values()):
            raise ValueError("a header value is one line of printable text")
        return headers

    @model_validator(mode="after")
    def _answers_in_some_way(self) -> "BackendSettings":
        whole, streamed = {*self.whole_only, *(() if self.stream else ("*",))}, set(self.stream_only)
        if whole and streamed and (whole & streamed or "*" in whole | streamed):
            raise ValueError("a model cannot be in streams only and unable to stream: see stream_only and whole_only")
        return self


class AliasSettings(_Section):
    """A name that clients put in `model`, and where it leads."""

    targets: tuple[str, ...] = Field(min_length=1, description="`backend/model`, tried in this order.")
    tags: tuple[str, ...] = Field(
        default=(), description="What it is good for: `code`, `embedding`, `vision`, your own words."
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Sampling defaults, used only where the client said nothing, and backend options sent as given "
        "(for Ollama `options`, `keep_alive`, `think`; for Claude `cache: true` to cache prompts, `thinking`, "
        "`default_max_tokens`, `thinking_budgets`, `unforceable_tool_choice: reject`).",
    )
    context_length: int | None = Field(
        default=None, ge=1, description="Context window in tokens: shown to clients, sent to Ollama as `num_ctx`."
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="Output cap in tokens: used when the client sets none, and never exceeded."
    )
    split_thinking: bool | None = Field(
        default=None,
        description="Turns `<think>` tags at the start of an answer into `reasoning_content`. Default: for families "
        "that write them (DeepSeek-R1, QwQ, Qwen3 ...). On: also where the model's template opened the tag.",
    )


class RoutingSettings(_Section):
    """Where a request goes that names no alias."""

    default_model: str | None = Field(
        default=None, description="Alias or `backend/model` for a model nobody knows. Absent: 404 model_not_found."
    )
    tasks: dict[str, str] = Field(
        default_factory=dict, description="Task name to alias or `backend/model`, for `model: task:NAME`."
    )


class HealthSettings(_Section):
    """How backends are watched; all in seconds."""

    interval_s: Seconds = Field(default=30, description="Between two looks at a backend, give or take a tenth.")
    timeout_s: Seconds = Field(default=5, description="For one look.")
    stale_s: Seconds = Field(default=60, description="After this long without news a backend's state is called stale.")
    models_s: Seconds = Field(default=300, description="How long a model list is trusted.")


class Settings(_Section):
    """The whole file."""

    server: ServerSettings = Field(default_factory=ServerSettings, description="Listening.")
    auth: AuthSettings = Field(default_factory=AuthSettings, description="Callers.")
    backends: dict[BackendName, BackendSettings] = Field(
        default_factory=dict, description="Model servers by name.", json_schema_extra={"additionalProperties": False}
    )
    models: dict[str, AliasSettings] = Field(default_factory=dict, description="Aliases by name.")
    routing: RoutingSettings = Field(default_factory=RoutingSettings, description="Choosing.")
    health: HealthSettings = Field(default_factory=HealthSettings, description="Watching.")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Settings":
        document = self.model_dump(mode="json", include={"server", "auth", "backends", "models", "routing"})
        if conflicts := cross_check(document):
            raise ValidationError.from_exception_data("Settings", [conflict.details() for conflict in conflicts])
        return self


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
    return [*_exposed(document), *_keyless(document), *_leading_nowhere(document)]


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be."""
    folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.65)
    return folded[close[0]] if close else None


def _exposed(document: Mapping[str, JsonValue]) -> Iterator[Conflict]:
    host, auth = _mapping(document.get("server")).get("host"), _mapping(document.get("auth"))
    guarded = auth.get("api_keys") or auth.get("open") not in (None, False)
    if isinstance(host, str) and host not in LOOPBACK_HOSTS and not guarded:
        yield Conflict(
            ("server", "host"),
            f"{host} is reachable from other machines but no key is asked",
            "set auth.api_keys, or auth.open: true to accept everybody",
        )


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
