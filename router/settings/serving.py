"""Where the router listens, who may call, and how backends are watched."""

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, field_validator

from router.settings.fields import CallerKey, Cidr, PriorityName, ScopeName, Seconds, Section

AUTO_FOLDER = "auto"
DATABASES = ("sqlite:///", "postgres://", "postgresql://", "postgresql+asyncpg://")


class ServerSettings(Section):
    """Where the router listens and what it accepts from clients."""

    host: str = Field(default="127.0.0.1", description="Address to listen on. Anything but loopback needs `auth`.")
    port: int = Field(default=7070, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    ollama_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="A second port at the same address, for Ollama's clients that know none but their usual 11434.",
    )
    max_body_bytes: int = Field(
        default=32 * 1024 * 1024, gt=0, description="Largest request body, counted while reading."
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins a browser page may call from; `*` allows all. Empty: CORS is off."
    )
    kept_responses_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Memory for responses that clients go on from by `previous_response_id`; the oldest go first. "
        "0 keeps none.",
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
    data_dir: str | None = Field(
        default=AUTO_FOLDER,
        description="Folder for what is learned while running, such as how models count tokens. `auto`: the user's own "
        "for application data. null: nothing is kept.",
    )
    capture: bool = Field(
        default=False,
        description="Keeps the bodies of the last 50 requests and answers in memory, cut and with secrets hidden, for "
        "`GET /api/requests`. They are people's words: only to find a fault.",
    )
    otel: bool = Field(
        default=False,
        description="OpenTelemetry traces over OTLP/HTTP (extra `otel`). The variable `OTEL_EXPORTER_OTLP_ENDPOINT` "
        "turns it on too, and says where to.",
    )

    @property
    def ports(self) -> frozenset[int]:
        """Where it listens itself."""
        return frozenset({self.port} if self.ollama_port is None else {self.port, self.ollama_port})

    @property
    def data_folder(self) -> Path | None:
        """The folder that `data_dir` means; None for nowhere. It need not exist."""
        if self.data_dir != AUTO_FOLDER:
            return Path(self.data_dir).expanduser() if self.data_dir else None
        return user_data_path("turnout", appauthor=False)


class KeySettings(Section):
    """A key and what goes with it."""

    key: CallerKey = Field(description="What the client sends.")
    name: str = Field(
        default="", description="Whose it is: shown in the queue and in logs instead of the key's digest."
    )
    priority: PriorityName | None = Field(
        default=None, description="Where its requests stand in line: `interactive`, `normal`, or `batch`."
    )
    local_only: bool = Field(
        default=False, description="Its requests never leave for a hosted service, whatever fails."
    )
    scopes: tuple[ScopeName, ...] = Field(
        default=("chat", "embed"), description="What it is good for: `chat`, `embed`, and `admin` for `/api`."
    )
    models: tuple[str, ...] | None = Field(
        default=None,
        description="What it may use: aliases, `backend/model`, model names, patterns with `*`. Default: everything.",
    )


def _with_its_key(written: object) -> object:
    return {"key": written} if isinstance(written, (str, SecretStr)) else written


class AuthSettings(Section):
    """Who may call."""

    api_keys: tuple[
        Annotated[KeySettings, BeforeValidator(_with_its_key, json_schema_input_type=str | KeySettings)], ...
    ] = Field(
        default=(),
        description="Keys that clients send as `Authorization: Bearer KEY`: each as a text, or with a name and a "
        "priority. Empty: no key is asked.",
    )
    open: bool = Field(
        default=False, description="Allows an address other than loopback without any key. Know your network."
    )
    required: bool = Field(
        default=False,
        description="Asks for a key also while there is none, here or in the database; then an address other than "
        "loopback is allowed. Default: keys are asked once there is one with which to chat or embed.",
    )
    private_backends: bool = Field(
        default=False,
        description="Lets users add backends for themselves alone. Then whoever has a key of a user can make the "
        "router connect to any address that it reaches. Off: administrators add them.",
    )
    trusted_proxies: tuple[Cidr, ...] = Field(
        default=(),
        description="Addresses or networks (CIDR) of proxies whose `X-Forwarded-For` says where a caller is.",
    )


class DatabaseSettings(Section):
    """Users, keys, backends and usage: what is changed while running, and what was used."""

    enabled: bool = Field(default=True, description="Off: nothing of it is kept, and `/api` has nothing to change.")
    url: SecretStr | None = Field(
        default=None,
        description="`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`. Default: `turnout.db` in "
        "`server.data_dir`; without such a folder, none.",
    )
    keep_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How many days records of requests are kept, today not counted; older ones are deleted a few at a "
        "time. null: all are kept.",
    )

    @field_validator("url")
    @classmethod
    def _is_of_a_known_kind(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(DATABASES):
            raise ValueError("a database is sqlite:///FILE or postgresql://USER@HOST/NAME")
        return url


class HealthSettings(Section):
    """How backends are watched; all in seconds."""

    interval_s: Seconds = Field(default=30, description="Between two looks at a backend, give or take a tenth.")
    timeout_s: Seconds = Field(default=5, description="For one look.")
    stale_s: Seconds = Field(default=60, description="After this long without news a backend's state is called stale.")
    models_s: Seconds = Field(default=300, description="How long a model list is trusted.")


class QueueSettings(Section):
    """Requests that wait for their turn, in one line for each backend or group."""

    max_depth: int = Field(default=100, ge=1, description="Most requests that wait in one line.")
    max_per_user: int = Field(default=50, ge=1, description="Most of them from one user, that is, one key.")
    max_wait: Seconds = Field(default=120, description="Longest wait for a turn.")
    min_residency: Seconds = Field(
        default=20, description="How long a model stays loaded, at least, while others wait for theirs."
    )
