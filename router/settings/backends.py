"""Model servers."""

import re
from collections.abc import Mapping
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from router.settings.address import CLAUDE_URL, is_local, normalise_url
from router.settings.fields import Key, Seconds, Section
from router.settings.launch import Bytes, LaunchSettings

BackendKind = Literal["ollama", "llama_cpp", "openai", "claude"]

OPENAI_HOST = "api.openai.com"

LAUNCHED_URL = "http://127.0.0.1"
"""In place of the address of a process that the router starts: the port is a free one, another with every start."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Timeouts(Section):
    """How long to wait for a backend; all in seconds."""

    connect: Seconds = Field(default=5, description="To open a connection.")
    first_token: Seconds = Field(
        default=300, description="From sending the request to its first byte: queue, load, prompt."
    )
    load: Seconds = Field(
        default=600, description="To load the model, on top of `first_token`, while the server says that it does."
    )
    idle: Seconds = Field(default=120, description="Between two pieces of a stream.")
    total: Seconds = Field(default=600, description="For a whole request, all attempts together.")


def _with_optional_url(schema: dict[str, Any]) -> None:
    schema["required"].remove("url")


class BackendSettings(Section):
    """One model server."""

    model_config = ConfigDict(json_schema_extra=_with_optional_url)

    type: BackendKind = Field(
        description="What it speaks: `ollama`, `llama_cpp`, `claude`, or `openai` for any compatible one."
    )
    url: str = Field(
        description="Its address. A trailing `/v1`, `/api/chat` or slash makes no difference. "
        "`claude` may leave it out: Anthropic's own. With `launch` there is none."
    )
    launch: LaunchSettings | None = Field(
        default=None, description="For `llama_cpp`: the router runs the server itself, as said here. In this file only."
    )
    api_key: Key | None = Field(default=None, description="Sent to this backend as a bearer token.")
    enabled: bool = Field(default=True, description="Off: it is listed but gets no work.")
    max_parallel: int | None = Field(
        default=None,
        ge=1,
        description="Most requests at once, for Ollama on each loaded model; the rest wait. Default: a llama.cpp "
        "server's slots, 1 for Ollama, 32 for others.",
    )
    weight: float = Field(
        default=1, gt=0, description="How much it is preferred where several backends are chosen from by score."
    )
    local: bool | None = Field(
        default=None,
        description="Whether it is your own, so that `local_only` requests may go there. Default: by its address (this "
        "machine, private addresses, `.local` and the like); `claude` is not. Off for one that passes requests on.",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long to wait for it.")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further headers sent with every request to it."
    )
    models: tuple[str, ...] = Field(default=(), description="Its models, for a server that cannot list them.")
    responses: bool | None = Field(
        default=None,
        description="Whether an `openai` server answers `/v1/responses` itself: then it gets such requests as they "
        "are. Default: OpenAI's own does.",
    )
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
    def _some_addresses_are_known(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = cast("Mapping[str, Any]", given)
        if fields.get("url") is not None:
            return fields
        if fields.get("launch") is not None:
            return {**fields, "url": LAUNCHED_URL}
        return {**fields, "url": CLAUDE_URL} if fields.get("type") == "claude" else fields

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
    def _is_launched_or_somewhere(self) -> "BackendSettings":
        if self.launch is not None and self.type != "llama_cpp":
            raise ValueError("launch is for backends of type llama_cpp")
        if self.launch is not None and self.url != LAUNCHED_URL:
            raise ValueError("with launch there is no url: the router starts the server on a free port")
        return self

    @property
    def has_responses(self) -> bool:
        """Whether it is asked in the words of the Responses API by clients who use them."""
        if self.responses is not None:
            return self.responses
        return self.type == "openai" and urlsplit(self.url).hostname == OPENAI_HOST

    @property
    def is_hosted(self) -> bool:
        """Whether what is sent there leaves for somebody else's machine, as far as settings and address tell."""
        if self.local is not None:
            return not self.local
        return self.type == "claude" or not is_local(urlsplit(self.url).hostname or "")

    @model_validator(mode="after")
    def _only_openai_has_responses(self) -> "BackendSettings":
        if self.responses and self.type != "openai":
            raise ValueError("only a backend of type openai can be asked in the format of /v1/responses")
        return self

    @model_validator(mode="after")
    def _answers_in_some_way(self) -> "BackendSettings":
        whole, streamed = {*self.whole_only, *(() if self.stream else ("*",))}, set(self.stream_only)
        if whole and streamed and (whole & streamed or "*" in whole | streamed):
            raise ValueError("a model cannot be in streams only and unable to stream: see stream_only and whole_only")
        return self


class GroupSettings(Section):
    """Backends that share a GPU, and so one line."""

    members: tuple[str, ...] = Field(min_length=1, description="Names of backends.")
    max_parallel: int | None = Field(default=None, ge=1, description="Most requests at once on all of them together.")
    memory: Bytes | None = Field(
        default=None,
        description="Bytes that its members with `launch` share, such as `24GiB`: who is idle longest makes room for "
        "who is asked for. Default: all of them fit.",
    )
