"""Requests to Claude: the SDK makes them, and they travel over the backend's own pool of connections.

The SDK contributes keys, headers, versions and URLs. Neither its retries nor its event objects are used: answers are
read as bytes from the connection, with the same deadlines as any other backend's.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager

import anthropic
import httpx2

from adapters.connection import Answer, framed, head_of
from adapters.upstream import Exchange, Upstream, error_body, translated
from router.canonical import outgoing
from router.canonical.adapter import BackendConfig
from router.dialects.failures import read, request_id
from router.errors import BackendFailed, BackendUnreachable, RouterError

logger = logging.getLogger(__name__)

_UNREAD = {"X-Stainless-Raw-Response": "stream"}
"""Makes the SDK hand over an answer as soon as its headers are there."""

_ANSWER = "turnout.answer"


class SdkUpstream(Upstream):
    """Connections to one service that Anthropic's SDK can talk to."""

    def __init__(self, config: BackendConfig, *, keep_alive_s: float, classify: Callable[..., RouterError]) -> None:
        super().__init__(config, keep_alive_s=keep_alive_s, classify=classify)
        http_client = httpx2.AsyncClient(transport=_Transport(self), trust_env=False, follow_redirects=False)
        self.sdk = _Client(config, http_client)

    def post(self, path: str, body: bytes, *, model: str, loading: bool = False) -> Exchange:
        """A request that is sent when its context is entered; `model` is for error messages."""
        return _SdkExchange(self, path, body, model=model, loading=loading)

    async def fetch(self, method: str, path: str, content: bytes | None, *, timeout_s: float) -> bytes:
        """The body of a small request that answered 200; `timeout_s` bounds all of it."""
        with translated(self.name), unwrapped(self, model=""):
            async with asyncio.timeout(timeout_s):
                if method == "GET":
                    response = await self.sdk.get(path, cast_to=httpx2.Response)
                else:
                    headers = dict(outgoing.headers.get() or {})
                    response = await self.sdk.post(
                        path, content=content, cast_to=httpx2.Response, options={"headers": headers}
                    )
        return response.content


class _Client(anthropic.AsyncAnthropic):
    """The SDK's client, told everything: no variable of the environment may send a request or its key elsewhere."""

    def __init__(self, config: BackendConfig, http_client: httpx2.AsyncClient) -> None:
        super().__init__(
            api_key=config.api_key or "",
            webhook_key="",
            base_url=config.url,
            timeout=config.timeouts.first_token,
            max_retries=0,
            open_telemetry=False,
            http_client=http_client,
        )
        self._custom_headers = {"User-Agent": "turnout", "Accept-Encoding": "identity", **config.headers}
        for name in ("anthropic", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)

    @property
    def auth_headers(self) -> dict[str, str]:
        """Nothing for a service that asks for no key, or for one in a header of the settings."""
        return super().auth_headers if self.api_key else {}

    def _validate_headers(self, headers: httpx2.Headers, omitted: frozenset[str]) -> None:
        """A request without a key is the settings' own wish."""


class _SdkExchange(Exchange):
    """One request that the SDK sends. The answer is read from the connection beneath it."""

    async def _send(self) -> Answer:
        upstream = self._upstream
        assert isinstance(upstream, SdkUpstream)
        headers = {**_UNREAD, **(outgoing.headers.get() or {})}
        with unwrapped(upstream, model=self._model):
            response = await upstream.sdk.post(
                self._path, content=self._body, cast_to=httpx2.Response, options={"headers": headers}
            )
        logger.debug("%s answers as %s", upstream.name, request_id(response.headers))
        return response.extensions[_ANSWER]


class _Transport(httpx2.AsyncBaseTransport):
    """Sends the SDK's requests over the pool of `Upstream`."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """An answer whose body is still to come, but for an error, which is read here, up to a limit."""
        head, body = head_of(request.method, request.url.raw_path, request.headers.raw), await request.aread()
        answer = await self._upstream.pool.send(framed(head, len(body)), body)
        headers = _headers(answer)
        if answer.status >= httpx2.codes.MULTIPLE_CHOICES:
            return httpx2.Response(answer.status, headers=headers, content=await error_body(answer))
        return httpx2.Response(answer.status, headers=headers, stream=_Body(answer), extensions={_ANSWER: answer})


class _Body(httpx2.AsyncByteStream):
    """The rest of an answer, for a request whose answer the SDK reads."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._answer.read():
            yield data

    async def aclose(self) -> None:
        self._answer.close()


@contextmanager
def unwrapped(upstream: Upstream, *, model: str) -> Generator[None]:
    """Turns the SDK's exceptions into what they stand for: ours, or those of the connection beneath."""
    try:
        yield
    except anthropic.APIStatusError as error:
        response = error.response
        raise upstream.refused(read(response.status_code, response.headers, response.content), model=model) from None
    except anthropic.APIConnectionError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise BackendUnreachable(f"{upstream.name} could not be asked") from None
    except (anthropic.AnthropicError, httpx2.HTTPError, httpx2.InvalidURL):
        raise BackendFailed(f"{upstream.name} did not answer like Claude") from None


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """What the SDK reads of an answer: without cookies, which its client would send with the requests of others."""
    return [(name, value) for name, value in answer.headers if name.lower() != b"set-cookie"]
