"""A chat, or a text completion, as the work that candidates are given."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from msgspec.structs import replace

from router.canonical.adapter import Adapter, Attempt, Reply
from router.canonical.completion import CompletionRequest
from router.canonical.events import Frame
from router.canonical.request import ChatRequest
from router.canonical.thinking import Splitter, splitter
from router.errors import RouterError
from router.relay.answer import Answer, Handling, all_frames, first_content, rewritten
from router.relay.contract import Contract
from router.relay.progress import Progress
from router.relay.resume import Earlier, is_resumable
from router.relay.turn import Turn
from router.routing.plan import Candidate
from router.usage.estimate import settled
from router.usage.meter import Meter
from router.usage.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


class Chat:
    """One request. `deliver` is given the answer, or each part of one that breaks off and goes on elsewhere."""

    def __init__(
        self,
        request: ChatRequest,
        progress: Progress,
        *,
        deliver: Callable[[Answer], Awaitable[None]],
        contract: Contract,
        tokenizer: Tokenizer,
    ) -> None:
        self._request = request
        self._progress = progress
        self._deliver = deliver
        self._contract = contract
        self._tokenizer = tokenizer
        self._begun = False
        self._earlier: Earlier | None = None
        self._broken: Meter | None = None
        self._splitter: Splitter | None = None

    @property
    def may_compete(self) -> bool:
        """Streams only: of a whole answer nothing is seen before its end, and two would be made to the end."""
        return self._request.stream

    async def serve(self, turn: Turn, *, loading: bool) -> None:
        """Opens an answer, commits to it once it has content, and delivers it while everything is held."""
        progress, target = turn.progress, turn.candidate.target
        self._begun = False
        earlier = await self._so_far()
        adapter = turn.adapter
        request = self._request if earlier is None else earlier.request(self._request, turn.candidate.profile)
        stream = adapter.config.streams(target.model, wanted=request.stream)
        asked = request if stream == request.stream else replace(request, stream=stream)
        meter = progress.meter = Meter() if earlier is None else earlier.meter()
        turn.began = asyncio.get_running_loop().time() if request.stream else None
        attempt = self._contract.attempt(turn.candidate, request.model, loading=loading)
        async with _opened(adapter, asked, attempt) as reply:
            progress.dropped = reply.dropped
            batches = reply.batches() if earlier is None else earlier.spliced(reply.batches(), target.backend)
            first = await (first_content(batches) if request.stream else all_frames(batches))
            meter.content(asyncio.get_running_loop().time())
            if asked is not request:
                first = rewritten(first, target.backend)
            turn.commit(turn)
            self._begun = True
            await self._deliver(self._answer(turn, reply, first, batches=batches))
            if earlier is None:
                self._contract.learn(turn.candidate, request, progress)

    def _answer(
        self, turn: Turn, reply: Reply, first: Sequence[Frame], *, batches: AsyncIterator[Sequence[Frame]]
    ) -> Answer:
        candidate, earlier, meter = turn.candidate, self._earlier, turn.progress.meter or Meter()
        bill = partial(settled, meter, self._request, self._tokenizer)
        if earlier is not None:
            note = f"resumed on {candidate.target} after {len(earlier.text)} characters"
            logger.warning("a stream goes on elsewhere: %s", note)
            self._progress.resumed += 1
            return Answer(reply, first, batches=batches, meter=meter, handling=Handling(bill, note=note))
        split = self._splits(candidate)
        self._splitter = split
        check = self._contract.check(candidate, self._request, turn.progress)
        return Answer(reply, first, batches=batches, meter=meter, handling=Handling(bill, split, check))

    def _splits(self, candidate: Candidate) -> Splitter | None:
        """What takes thinking out of the text; nobody but a chat's template makes a model think in tags."""
        if isinstance(self._request, CompletionRequest):
            return None
        return splitter(candidate.profile.split_thinking, candidate.target.model, live=self._request.stream)

    def goes_on(self, turn: Turn, error: RouterError) -> bool:
        """Only where plain text was told and nothing else: no thinking, no tool call, no end.

        A target that could not go on changes nothing: another may.
        """
        meter = self._progress.meter
        if not self._begun:
            return self._earlier is not None
        if meter is None or not is_resumable(self._request, turn.candidate.profile, error):
            return False
        is_told = self._splitter is None or self._splitter.is_transparent
        if not (is_told and meter.is_plain_text and any(meter.said)):
            return False
        self._broken = meter
        return True

    async def _so_far(self) -> Earlier | None:
        """What the client has already, counted once for each break."""
        broken, self._broken = self._broken, None
        if broken is not None:
            text = "".join(broken.said)
            prompt = broken.usage.prompt if broken.usage else None
            tokens = await self._tokenizer.count(text)
            before = self._earlier
            self._earlier = Earlier(text, tokens, before.prompt if before else prompt, broken.first_content_at)
        return self._earlier


def _opened(adapter: Adapter, request: ChatRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
    if isinstance(request, CompletionRequest):
        return adapter.complete(request, attempt)
    return adapter.chat(request, attempt)
