"""The registry behind a fake Ollama: models in layers, which come as slowly and fail as often as a test wants."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from aiohttp import web

from tests.fakes.answer import NDJSON, ndjson_frame
from tests.fakes.ask import Ask
from tests.fakes.journal import Passage
from tests.fakes.persona import FakeModel, Persona, full_name
from tests.fakes.sending import never

DISK_FULL = "write /usr/share/ollama/.ollama/models/blobs/sha256-planted-partial: no space left on device"
UNKNOWN = "pull model manifest: file does not exist"


class Registry:
    """`models` are sizes of layers in bytes by name; each line tells of `chunk` bytes more.

    A chunk takes `pause_s`. What has come of a layer stays in `held`, whoever leaves. With `patient`, each chunk waits
    for `let`.
    """

    def __init__(
        self, models: Mapping[str, Sequence[int]], *, chunk: int = 100, pause_s: float = 0.0, patient: bool = False
    ) -> None:
        self.models = {full_name(name): tuple(sizes) for name, sizes in models.items()}
        self.chunk = chunk
        self.pause_s = pause_s
        self.patient = patient
        self.held: dict[str, int] = {}
        self.room: int | None = None
        """Bytes that the disk takes."""
        self.error: str | None = None
        """What the next chunk is answered with."""
        self.drops = 0
        """So many connections are cut with their next chunk."""
        self.deaf = False
        """Nothing is answered at all."""
        self.editions: dict[str, str] = {}
        """Of models that have changed since somebody pulled them, by name."""
        self.resumed: list[int] = []
        """What was there already, of each pull that has begun."""
        self._let = 0
        self._more = asyncio.Event()

    def let(self, chunks: int) -> None:
        """So many more may come."""
        self._let += chunks
        self._more.set()

    def release(self) -> None:
        """Everything may come."""
        self.patient = False
        self._more.set()

    async def serve(self, request: web.Request, ask: Ask, persona: Persona, *, passage: Passage) -> web.StreamResponse:
        fields = ask.fields()
        name = fields.get("model") or fields.get("name")
        if not isinstance(name, str) or not name or name.startswith("/"):
            passage.over = True
            return web.json_response({"error": "invalid model name"}, status=400)
        if self.deaf:
            await never()
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await _tell(response, {"status": "pulling manifest"})
        error = await self._layers(request, response, full_name(name), passage=passage)
        if error is not None:
            await _tell(response, {"error": error})
        else:
            for status in ("verifying sha256 digest", "writing manifest", "success"):
                await _tell(response, {"status": status})
            self._deliver(full_name(name), persona)
        passage.over = True
        await response.write_eof()
        return response

    async def _layers(
        self, request: web.Request, response: web.StreamResponse, name: str, *, passage: Passage
    ) -> str | None:
        """What went wrong, if something did."""
        if name not in self.models:
            return UNKNOWN
        self.resumed.append(sum(self.held.get(digest, 0) for digest, _ in self._parts(name)))
        for digest, total in self._parts(name):
            line: dict[str, Any] = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
            held = self.held.get(digest, 0)
            await _tell(response, {**line, **({"completed": held} if held else {})})
            while (held := self.held.get(digest, 0)) < total:
                await self._turn()
                if self.drops:
                    self.drops -= 1
                    passage.over = True
                    assert request.transport is not None
                    request.transport.abort()
                    await never()
                if self.error is not None:
                    return self.error
                held = min(total, held + self.chunk)
                if self.room is not None and sum(self.held.values()) + self.chunk > self.room:
                    return DISK_FULL
                self.held[digest] = held
                await _tell(response, {**line, "completed": held})
        return None

    def _deliver(self, name: str, persona: Persona) -> None:
        edition = self.editions.get(name, "")
        if (there := persona.find(name)) is None:
            persona.models.append(FakeModel(name, ("completion", "tools"), loaded=False, edition=edition))
        elif edition:
            persona.models[persona.models.index(there)] = replace(there, edition=edition)

    async def _turn(self) -> None:
        while self.patient and not self._let:
            self._more.clear()
            await self._more.wait()
        self._let = max(0, self._let - 1)
        await asyncio.sleep(self.pause_s)

    def _parts(self, name: str) -> Iterator[tuple[str, int]]:
        for index, size in enumerate(self.models[name]):
            yield f"sha256:{sha256(f'{name} {index}'.encode()).hexdigest()}", size


async def _tell(response: web.StreamResponse, line: Mapping[str, Any]) -> None:
    await response.write(ndjson_frame(line))
