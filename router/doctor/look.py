"""Looking at every backend as closely as a plain GET allows; the only I/O of the doctor."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import msgspec

from router.canonical.adapter import Adapter
from router.canonical.models import Probe
from router.discovery import OLLAMA_PORT, USUAL_PLACES
from router.doctor.findings import (
    CLAUDE,
    LLAMA_CPP,
    NOBODY,
    OLLAMA,
    OPENAI,
    BackendFindings,
    Contact,
    Findings,
    Identity,
    Promise,
    Said,
)
from router.errors import RouterError
from router.processes.launch import unusable_in
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.settings.launch import LaunchSettings
from router.usage.calibration_file import CalibrationFile

USUAL_PORTS = (OLLAMA_PORT, *(port for _, port in USUAL_PLACES.values()))
PATHS = ("/", "/api/version", "/v1/models", "/props", "/health")
KNOWN_KINDS = frozenset({OLLAMA, LLAMA_CPP, OPENAI})
MAX_BODY = 4 * 1024 * 1024


async def examine(
    settings: Settings,
    adapters: Mapping[str, Adapter],
    *,
    optional: frozenset[str] = frozenset(),
    usual_ports: Sequence[int] = USUAL_PORTS,
) -> Findings:
    """Looks at all backends side by side, each for no longer than a few times `health.timeout_s`."""
    promises = promises_of(settings)
    enabled = {name: backend for name, backend in settings.backends.items() if backend.enabled}
    looks = (
        _Look(name, backend, adapters[name], timeout_s=settings.health.timeout_s, usual_ports=usual_ports)
        for name, backend in enabled.items()
    )
    backends = await asyncio.gather(*(look.findings(promises) for look in looks))
    estimates = tuple(CalibrationFile(settings.server.data_folder).load())
    return Findings(tuple(backends), promises, optional, in_container=_in_container(), estimates=estimates)


async def look_at(
    name: str, backend: BackendSettings, adapter: Adapter, *, timeout_s: float, usual_ports: Sequence[int] = USUAL_PORTS
) -> BackendFindings:
    """The same for one backend of which nothing is promised."""
    look = _Look(name, backend, adapter, timeout_s=timeout_s, usual_ports=usual_ports)
    return await look.findings(())


def _in_container() -> bool:
    return Path("/.dockerenv").exists()


def promises_of(settings: Settings) -> tuple[Promise, ...]:
    """Every place in the settings that leads to a model. Claude's list is complete, so its own `models` are one."""
    found = [
        Promise(f"backends.{name}.models", name, model)
        for name, backend in settings.backends.items()
        if backend.type == CLAUDE
        for model in backend.models
    ]
    for name, alias in settings.models.items():
        for target in alias.targets:
            backend, _, model = target.partition("/")
            found.append(Promise(f"models.{name}", backend, model, "embedding" in alias.tags, alias.context_length))
    named = {"routing.default_model": settings.routing.default_model}
    named |= {f"routing.tasks.{task}": name for task, name in settings.routing.tasks.items()}
    for place, name in named.items():
        if name is not None and name not in settings.models:
            backend, _, model = name.partition("/")
            found.append(Promise(place, backend, model))
    return tuple(found)


class _Look:
    """One look at one backend."""

    def __init__(
        self, name: str, settings: BackendSettings, adapter: Adapter, *, timeout_s: float, usual_ports: Sequence[int]
    ) -> None:
        self._name = name
        self._settings = settings
        self._adapter = adapter
        self._timeout_s = timeout_s
        self._usual_ports = usual_ports
        self._headers = {key: value.get_secret_value() for key, value in settings.headers.items()}
        if settings.api_key is not None:
            self._headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"

    async def findings(self, promises: Sequence[Promise]) -> BackendFindings:
        if self._settings.launch is not None:
            return await self._launched(self._settings.launch)
        contact, skew_s = await self._contact()
        found = BackendFindings(name=self._name, settings=self._settings, contact=contact, skew_s=skew_s)
        if contact is Contact.REFUSED and self._settings.type in KNOWN_KINDS:
            return replace(found, elsewhere=await self._elsewhere())
        if contact is not Contact.ANSWERS:
            return found
        began = asyncio.get_running_loop().time()
        probe, error = await self._probe()
        latency_s = asyncio.get_running_loop().time() - began if probe else None
        found = replace(found, probe=probe, error=error, latency_s=latency_s)
        if self._settings.type not in KNOWN_KINDS:
            return found
        parts = urlsplit(self._settings.url)
        identity, at_root = await self._identity(self._settings.url), NOBODY
        if probe is None and parts.path:
            at_root = await self._identity(f"{parts.scheme}://{parts.netloc}")
        limits = await self._limits(promises) if probe is not None and self._settings.type == OLLAMA else {}
        return replace(found, identity=identity, at_root=at_root, limits=limits)

    async def _launched(self, launch: LaunchSettings) -> BackendFindings:
        """One that the router runs itself, which nobody does now: what it needs is looked at, and nothing started."""
        missing = await asyncio.to_thread(lambda: tuple(unusable_in(launch, ("launch",))))
        probe, error = await self._probe()
        return BackendFindings(
            name=self._name,
            settings=self._settings,
            contact=Contact.ANSWERS,
            probe=probe,
            error=error,
            unusable=missing,
        )

    async def _contact(self) -> tuple[Contact, float | None]:
        """Whether it answers at all, and how far its clock is ahead."""
        parts = urlsplit(self._settings.url)
        try:
            async with asyncio.timeout(self._timeout_s):
                port = parts.port or (443 if parts.scheme == "https" else 80)
                await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
                async with self._client(self._settings.url) as client:
                    response = await client.get("/")
        except (socket.gaierror, UnicodeError):
            return Contact.UNKNOWN_HOST, None
        except httpx.ConnectError as error:
            return (Contact.BAD_CERTIFICATE if "CERTIFICATE" in str(error) else _refusal(error)), None
        except (TimeoutError, httpx.TimeoutException):
            return Contact.SILENT, None
        except httpx.TransportError:
            return Contact.NOT_HTTP, None
        return Contact.ANSWERS, _skew_s(response)

    async def _probe(self) -> tuple[Probe | None, RouterError | None]:
        await self._adapter.warm_up()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._adapter.probe(timeout_s=self._timeout_s), None
        except RouterError as error:
            return None, error
        except TimeoutError:
            return None, None

    async def _identity(self, url: str, *, with_key: bool = True) -> Identity:
        async with self._client(url, with_key=with_key) as client:
            answers = await asyncio.gather(*(_get(client, path) for path in PATHS))
        heard = {path: answer for path, answer in zip(PATHS, answers, strict=True) if answer is not None}
        return identified(heard)

    async def _elsewhere(self) -> dict[str, str]:
        """Model servers at the usual ports of the same host. No key is sent there."""
        parts = urlsplit(self._settings.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        urls = [f"http://{host}:{port}" for port in self._usual_ports if port != parts.port]
        found = await asyncio.gather(*(self._identity(url, with_key=False) for url in urls))
        return {url: identity.best for url, identity in zip(urls, found, strict=True) if identity.best is not None}

    async def _limits(self, promises: Sequence[Promise]) -> dict[str, int]:
        mine = (promise for promise in promises if promise.backend == self._name)
        wanted = {promise.model for promise in mine if promise.context_length is not None}
        async with self._client(self._settings.url) as client:
            found = {model: await _trained_context(client, model) for model in sorted(wanted)}
        return {model: limit for model, limit in found.items() if limit is not None}

    @asynccontextmanager
    async def _client(self, url: str, *, with_key: bool = True) -> AsyncGenerator[httpx.AsyncClient]:
        """Asks as the router does: no proxy, no redirect, the same headers."""
        trusted = ssl.create_default_context() if url.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        headers = self._headers if with_key else {}
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=self._timeout_s, verify=trusted, trust_env=False
        ) as client:
            yield client


def identified(heard: Mapping[str, httpx.Response]) -> Identity:
    """Who it is, by what each path was answered with."""
    documents = {path: _document(response) for path, response in heard.items()}
    speaks: set[str] = set()
    if isinstance(documents.get("/api/version", {}).get("version"), str):
        speaks.add(OLLAMA)
    if isinstance(documents.get("/v1/models", {}).get("data"), list):
        speaks.add(OPENAI)
    if "default_generation_settings" in documents.get("/props", {}):
        speaks.add(LLAMA_CPP)
    said = {path: Said(answer.status_code, _is_html(answer)) for path, answer in heard.items()}
    health = heard.get("/health")
    root = heard.get("/")
    return Identity(
        frozenset(speaks),
        said,
        is_ollama=OLLAMA in speaks and root is not None and root.content.startswith(b"Ollama is running"),
        is_loading=health is not None and health.status_code == 503 and b"oading model" in health.content,
    )


def _document(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != 200:
        return {}
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded: object = msgspec.json.decode(response.content)
        if isinstance(decoded, dict):
            return cast("dict[str, Any]", decoded)
    return {}


def _is_html(response: httpx.Response) -> bool:
    return "html" in response.headers.get("content-type", "") or response.content[:100].lstrip().startswith(b"<")


async def _get(client: httpx.AsyncClient, path: str) -> httpx.Response | None:
    try:
        async with client.stream("GET", path) as response:
            if int(response.headers.get("content-length") or 0) <= MAX_BODY:
                await response.aread()
                return response
    except (httpx.HTTPError, httpx.StreamError, ValueError):
        pass
    return None


async def _trained_context(client: httpx.AsyncClient, model: str) -> int | None:
    """The most tokens that an Ollama model can hold, whatever it is loaded with just now."""
    try:
        response = await client.post("/api/show", json={"model": model})
    except httpx.HTTPError:
        return None
    info = _document(response).get("model_info")
    fields = cast("dict[str, object]", info) if isinstance(info, dict) else {}
    return next((n for key, n in fields.items() if key.endswith(".context_length") and isinstance(n, int)), None)


def _refusal(error: httpx.ConnectError) -> Contact:
    """A connection that could not be made: refused, or a TLS handshake with something that knows none."""
    return Contact.NOT_HTTP if "SSL" in str(error) else Contact.REFUSED


def _skew_s(response: httpx.Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp() - time()
    except (KeyError, ValueError, OverflowError):
        return None
