"""The fake backend itself: going up, answering, going down."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.fakes import control, refusal, routes, scripts
from tests.fakes.answer import Answer
from tests.fakes.ask import Ask
from tests.fakes.faults import NO_FAULTS, FaultDial, Faults, distort
from tests.fakes.journal import Passage, Recorded
from tests.fakes.persona import FakeModel, Flavour, Persona
from tests.fakes.refusal import Refusal
from tests.fakes.registry import Registry
from tests.fakes.scripts import ScriptBook, Scripted
from tests.fakes.sending import never, send

_LARGEST_BODY = 1 << 30


class FakeBackend(Persona):
    """One server on one loopback port. Up inside `async with`; port 0 picks a free one."""

    def __init__(
        self,
        models: Sequence[FakeModel] | None = None,
        *,
        flavour: Flavour = "ollama",
        reply: str = "Hello from the fake.",
        thinking: str | None = None,
        faults: Faults = NO_FAULTS,
        port: int = 0,
    ) -> None:
        super().__init__(models, flavour=flavour, reply=reply, thinking=thinking)
        self.port = port
        self._dial = FaultDial()
        self._dial.turn(faults)
        self._scripts = ScriptBook()
        self._loading = asyncio.Lock()
        self.answered: Callable[[str], None] = lambda _: None
        """Told the last message of every request that was answered to its end."""
        self.registry: Registry | None = None
        """Where an Ollama pulls from; without one, every model is there at once."""
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def faults(self) -> Faults:
        return self._dial.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._dial.turn(faults)

    @property
    def requests(self) -> list[Recorded]:
        return self.journal.requests

    @property
    def probes(self) -> list[Recorded]:
        return self.journal.probes

    @property
    def in_flight(self) -> int:
        return self.journal.in_flight

    @property
    def peak_in_flight(self) -> int:
        return self.journal.peak_in_flight

    @property
    def connections(self) -> set[int]:
        """Those that are open, each by the port at its other end."""
        runner = self._runner
        there = runner.server.connections if runner is not None and runner.server else ()
        return {each.transport.get_extra_info("peername")[1] for each in there if each.transport is not None}

    @property
    def disconnects(self) -> list[float]:
        return self.journal.disconnects

    def script(self, path: str, *answers: Scripted) -> None:
        """Served in order, the last one for good."""
        self._scripts.put(path, answers)

    def reset(self) -> None:
        """Forgets faults, scripts and what was seen; models, reply and flavour stay."""
        self._dial.turn(NO_FAULTS)
        self._scripts.clear()
        self.journal.clear()
        self.reset_tokens()

    async def until(self, condition: Callable[[], bool], *, within_s: float = 2.0) -> None:
        """Waits for something to be seen; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            await self.journal.until(condition)

    async def start(self) -> None:
        """Comes up on the port it had before, if it was up before."""
        if self._runner is not None:
            return
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self._site = runner, site
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuses connections from now on and cuts those there are."""
        runner, site, self._runner, self._site = self._runner, self._site, None, None
        if runner is None or site is None:
            return
        self.journal.going_down = True
        try:
            await site.stop()
            for connection in runner.server.connections if runner.server else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await runner.cleanup()
        finally:
            self.journal.going_down = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(control.PREFIX):
            return await control.serve(self, request)
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        recorded = Recorded(request.method, request.path, headers, raw)
        ask = Ask(request.method, request.path, request.query, raw, headers=headers)
        if routes.is_probe(ask):
            self.journal.note_probe(recorded)
            return await self._answer_probe(request, ask)
        with self.journal.answering(recorded) as passage:
            return await self._answer_work(request, ask, passage=passage)

    async def _answer_probe(self, request: web.Request, ask: Ask) -> web.StreamResponse:
        health = self.faults.health
        if health == "hang":
            await never()
        if health == "loading":
            return await send(request, refusal.LOADING)
        if health == "fail":
            return await send(request, self._refuse(500, ask.path))
        return await send(request, self._compose(ask))

    async def _answer_work(self, request: web.Request, ask: Ask, *, passage: Passage) -> web.StreamResponse:
        if self.faults.health == "loading":
            return await send(request, refusal.LOADING, passage=passage)
        if self.registry is not None and ask.path == "/api/pull":
            return await self.registry.serve(request, ask, self, passage=passage)
        faults = NO_FAULTS if routes.is_management(ask) else self._dial.draw()
        if faults.hang_before_headers:
            await never()
        await self._load(ask)
        if faults.first_byte_delay_s:
            await asyncio.sleep(faults.first_byte_delay_s)
        answer = distort(
            self._compose(replace(ask, whole=faults.ignore_stream)),
            faults,
            mid_stream_error=refusal.mid_stream_error(self.flavour, ask.path),
            refuse=lambda status: self._refuse(status, ask.path),
        )
        pause_s = answer.delay_s + faults.chunk_delay_s
        response = await send(request, answer, pause_s=pause_s, passage=passage)
        if answer.status == 200:
            self.answered(ask.last_message())
        return response

    async def _load(self, ask: Ask) -> None:
        """Loads the model first, one at a time, if this is a server that does that when it is asked."""
        if self.flavour != "ollama" or self.load_s is None:
            return
        name = ask.named_model()
        async with self._loading:
            if (model := self.find(name) if name else None) and not model.loaded:
                await asyncio.sleep(self.load_s)
                self.load(name)

    def _compose(self, ask: Ask) -> Answer:
        scripted = self._scripts.take(ask.path)
        if scripted is not None:
            return scripts.render(scripted, ask.path, stream=ask.wants_stream() and not ask.whole)
        try:
            return self._branded(routes.respond(self, ask))
        except Refusal as refused:
            return self._branded(refusal.render(refused, self.flavour, path=ask.path))

    def _refuse(self, status: int, path: str) -> Answer:
        return self._branded(refusal.render(refusal.default_refusal(status, self.flavour), self.flavour, path=path))

    def _branded(self, answer: Answer) -> Answer:
        if self.flavour != "llama_cpp":
            return answer
        return replace(answer, headers={"Server": "llama.cpp", **answer.headers})
