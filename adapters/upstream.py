"""The only place that opens connections to backends: one bounded pool each, deadlines, and errors of our own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Self

import httpx
from yarl import URL

from adapters.connection import Answer, Disconnected, framed, head_lines, head_of
from adapters.pool import Pool, Unreachable, UnreachableInTime
from router.canonical import outgoing
from router.canonical.adapter import BackendConfig
from router.canonical.events import Frame
from router.deadline import Deadline
from router.dialects import Decoder
from router.dialects.failures import ErrorAnswer, classify, read, request_id
from router.errors import BackendFailed, BackendTimeout, BackendUnreachable, RouterError, StreamBroken

MAX_ERROR_BYTES = 64 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
MIN_SECRET = 6
ERROR_BODY_S = 2.0
LINGER_S = 1.0
"""How long to wait for the end of a connection after the end marker, to use it again."""

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "User-Agent": "turnout",
}


class Upstream:
    """Connections to one backend. `keep_alive_s` must be below the time after which the backend closes idle ones.

    `classify` says what an error answer means.
    """

    def __init__(
        self, config: BackendConfig, *, keep_alive_s: float, classify: Callable[..., RouterError] = classify
    ) -> None:
        self.name = config.name
        self._classify = classify
        self._config = config
        self._keep_alive_s = keep_alive_s
        self._pool: Pool | None = None
        self._heads: dict[str, bytes] = {}
        self._client: httpx.AsyncClient | None = None
        self._headers = {**_HEADERS, **config.headers}
        if config.api_key:
            self._headers["Authorization"] = f"Bearer {config.api_key}"
        words = (config.api_key or "", *config.headers.values(), *map(_last_word, config.headers.values()))
        self._secrets = (config.url, *(word for word in words if len(word) >= MIN_SECRET))

    def post(self, path: str, body: bytes, *, model: str, loading: bool = False) -> "Exchange":
        """A request that is sent when its context is entered; `model` is for error messages.

        With `loading` the model is known not to be loaded: the time to load it comes on top of that to the first byte.
        """
        return Exchange(self, path, body, model=model, loading=loading)

    @property
    def client(self) -> httpx.AsyncClient:
        """An httpx client over the same pool, for looks and lists."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=_Transport(self), base_url=self._config.url, headers=self._headers, trust_env=False
            )
        return self._client

    async def get(self, path: str, *, timeout_s: float) -> bytes:
        """The body of a GET that answered 200; anything else raises RouterError."""
        return await self.fetch("GET", path, None, timeout_s=timeout_s)

    async def fetch(self, method: str, path: str, content: bytes | None, *, timeout_s: float) -> bytes:
        """The body of a small request that answered 200; `timeout_s` bounds all of it."""
        with translated(self.name):
            async with asyncio.timeout(timeout_s):
                response = await self.client.request(method, path, content=content, timeout=timeout_s)
        if response.status_code != HTTPStatus.OK:
            answer = read(response.status_code, response.headers, response.content[:MAX_ERROR_BYTES])
            raise self.refused(answer, model="")
        return response.content

    def refused(self, answer: ErrorAnswer, *, model: str) -> RouterError:
        """What an answer other than success means."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return BackendFailed(f"{self.name} answered with status {answer.status}: check its url")
        error = self._classify(replace(answer, message=self.hidden(answer.message)), backend=self.name, model=model)
        error.upstream_id = self.hidden(answer.request_id)
        return error

    def hidden(self, message: str) -> str:
        """A backend's words without the router's own keys and address, should it have repeated them."""
        for secret in self._secrets:
            message = message.replace(secret, "[redacted]")
        return message

    def head(self, path: str) -> bytes:
        """The head of a POST but for what differs between two of them; made once."""
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = self.head_for("POST", path)
        return head

    def head_for(self, method: str, path: str, **more: str) -> bytes:
        """The head of any other request; `more` headers take the place of the usual ones."""
        url = URL(self._config.url + path)
        headers = {"Host": url.host_port_subcomponent or "", **self._headers, **more}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        return head_of(method, url.raw_path_qs.encode("ascii"), pairs)

    @property
    def config(self) -> BackendConfig:
        return self._config

    def moved(self, config: BackendConfig) -> None:
        """The backend is somewhere else from now on; what is connected to where it was is left to end by itself."""
        self._config = config
        self._pool = self._client = None
        self._heads.clear()
        self._secrets = (config.url, *self._secrets[1:])

    @property
    def pool(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(
                URL(self._config.url), keep_alive_s=self._keep_alive_s, connect_s=self._config.timeouts.connect
            )
        return self._pool

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()


class Exchange:
    """One request and its answer. Leaving the context closes the connection unless the answer was read to its end."""

    def __init__(self, upstream: Upstream, path: str, body: bytes, *, model: str, loading: bool) -> None:
        self._upstream = upstream
        self._path = path
        self._body = body
        self._model = model
        times = upstream.config.timeouts
        self._first_byte_s = times.first_token + (times.load if loading else 0)
        self._idle_s = times.idle
        self._answer: Answer | None = None
        self._loop = asyncio.get_running_loop()
        self._begun = False

    async def __aenter__(self) -> Self:
        self._first_byte_at = self._loop.time() + self._first_byte_s
        self._deadline = Deadline(self._first_byte_at)
        try:
            await self._open()
        except BaseException as error:
            self._close(error)
            if isinstance(error, OSError):
                raise translation(error, self.backend) from None
            raise
        self._deadline.rest()
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        """Lets go of the connection; raises BackendTimeout if it was the deadline that ended the exchange."""
        if self._answer is not None:
            self._answer.close()
        if self._deadline.close(error):
            error = self._late()
            self._mark(error)
            raise error from None
        if isinstance(error, RouterError):
            self._mark(error)

    def _late(self) -> BackendTimeout:
        if self._answer is None:
            return BackendTimeout(f"{self.backend} did not answer in time")
        if not self._begun:
            return BackendTimeout(f"{self.backend} sent no token in time")
        return BackendTimeout(f"{self.backend} fell silent in the middle of the answer")

    def _mark(self, error: RouterError) -> None:
        """Notes what the backend calls the request that failed."""
        if self._answer is not None and not error.upstream_id:
            error.upstream_id = self._upstream.hidden(request_id(httpx.Headers(self._answer.headers)))

    async def _open(self) -> None:
        answer = self._answer = await self._send()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            body = await error_body(answer)
            raise self._upstream.refused(read(answer.status, httpx.Headers(answer.headers), body), model=self._model)

    async def _send(self) -> Answer:
        head = self._upstream.head(self._path)
        if more := outgoing.headers.get():
            head += head_lines((name.encode(), value.encode()) for name, value in more.items())
        return await self._upstream.pool.send(framed(head, len(self._body)), self._body)

    @property
    def backend(self) -> str:
        return self._upstream.name

    async def read(self) -> bytes:
        """What has arrived since the last read, waiting for something; nothing at the end of the body.

        The first read has until the first-token deadline, each further one the idle time.
        """
        answer = self._answer
        if answer is None:
            return b""
        data = answer.read_nowait()
        if not data and not answer.is_over:
            due = self._loop.time() + self._idle_s if self._begun else self._first_byte_at
            self._deadline.wait_until(due)
            try:
                data = await answer.read()
            except Disconnected as error:
                raise translation(error, self.backend, begun=self._begun) from None
            self._deadline.rest()
        self._begun = True
        return data

    async def body(self) -> bytes:
        """The whole body; raises BackendFailed for one that is larger than any real answer."""
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > MAX_BODY_BYTES:
                raise BackendFailed(f"{self._upstream.name} sent an answer that is too large")
        return b"".join(parts)

    async def batches(self, decoder: Decoder) -> AsyncGenerator[Sequence[Frame]]:
        """Frames, one batch a read; raises what the stream itself reported, or StreamBroken without an end marker."""
        while data := await self.read():
            if frames := self._decoded(decoder, data):
                yield frames
            if decoder.failure is not None:
                raise self._named(decoder.failure)
            if decoder.ended:
                await self._linger()
                return
        if frames := self._decoded(decoder, None):
            yield frames
        if decoder.failure is not None:
            raise self._named(decoder.failure)

    def _decoded(self, decoder: Decoder, data: bytes | None) -> Sequence[Frame]:
        """The frames of a read, or with None those of the end."""
        try:
            return decoder.finish() if data is None else decoder.feed(data)
        except StreamBroken as error:
            raise self._named(error) from None

    async def _linger(self) -> None:
        """Waits a moment for the end of a body whose end marker has come, so that its connection can be used again."""
        if self._answer is None or self._answer.is_over:
            return
        with suppress(TimeoutError, Disconnected):
            async with asyncio.timeout(LINGER_S):
                await self._answer.read()

    def _named(self, error: RouterError) -> RouterError:
        message = f"{self._upstream.name}: {self._upstream.hidden(error.message)}"
        return type(error)(message, param=error.param, retry_after=error.retry_after)


@contextmanager
def translated(backend: str, *, begun: bool = False) -> Generator[None]:
    """Turns the HTTP client's exceptions into ours; see `translation`."""
    try:
        yield
    except (httpx.HTTPError, OSError) as error:
        raise translation(error, backend, begun=begun) from None


def translation(error: BaseException, backend: str, *, begun: bool = False) -> RouterError:
    """What an exception of the HTTP client means; `begun` is whether the answer had started to arrive."""
    if isinstance(error, UnreachableInTime):
        return BackendUnreachable(f"{backend} could not be reached in time")
    if isinstance(error, Unreachable):
        return BackendUnreachable(f"{backend} refused the connection: is it running?")
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return BackendTimeout(f"{backend} did not answer in time")
    if begun:
        return StreamBroken(f"{backend} closed the connection in the middle of the answer")
    return BackendUnreachable(f"{backend} closed the connection without an answer")


class _Transport(httpx.AsyncBaseTransport):
    """Sends httpx's requests over the pool of an upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """An answer whose body is still to come."""
        head, body = head_of(request.method, request.url.raw_path, request.headers.raw), await request.aread()
        answer = await self._upstream.pool.send(framed(head, len(body)), body)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))


class _Body(httpx.AsyncByteStream):
    """The rest of an answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._answer.read():
            yield data

    async def aclose(self) -> None:
        self._answer.close()


async def error_body(answer: Answer) -> bytes:
    """What comes of an error's body in time; the status counts even without it."""
    body = bytearray()
    try:
        with suppress(TimeoutError, Disconnected):
            async with asyncio.timeout(ERROR_BODY_S):
                while len(body) < MAX_ERROR_BYTES and (data := await answer.read()):
                    body += data
    finally:
        answer.close()
    return bytes(body)


def _last_word(value: str) -> str:
    """A header's secret without its scheme: the `KEY` of `Bearer KEY`."""
    return value.rpartition(" ")[2]
