"""Counting and reading tokens without holding up the event loop: the way to the process that knows the vocabulary."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from router.errors import InternalError, InvalidParameter
from router.usage.tokens_child import read, write

MAX_IDS = 1_000_000
TIMEOUT_S = 3.0
"""For one count, waiting in line and starting the process included; after that a guess has to do."""
MAX_STARTS = 3
BYTES_A_TOKEN = 4

_TEXTS = msgspec.msgpack.Decoder(list[str | None])


class Tokenizer:
    """cl100k_base, in a child process that is started when first needed. Whoever makes one closes it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
        self._child: subprocess.Popen[bytes] | None = None
        self._starts = MAX_STARTS
        self._closed = False

    @property
    def is_running(self) -> bool:
        """Whether the child process has been needed."""
        return self._child is not None

    async def count(self, text: str) -> int:
        """How many tokens a text is; from its length alone when the process fails or is too busy."""
        found = await self.counted(text)
        return guess(text) if found is None else found

    async def counted(self, text: str) -> int | None:
        """How many tokens a text is; None when the process fails or is too busy."""
        if not text:
            return 0
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return msgspec.msgpack.decode(await self._asked(text=text), type=int)
        except (TimeoutError, OSError, UnicodeEncodeError):
            return None

    async def decode(self, inputs: Sequence[Sequence[int]]) -> tuple[str, ...]:
        """The texts that lists of ids stand for; raises InvalidParameter for ids that stand for none."""
        if sum(map(len, inputs)) > MAX_IDS:
            raise InvalidParameter(f"input has more than {MAX_IDS} token ids", param="input")
        try:
            texts = _TEXTS.decode(await self._asked(ids=inputs))
        except OSError:
            raise InternalError("the router cannot decode token ids now: send texts") from None
        known = tuple(text for text in texts if text is not None)
        if len(known) < len(texts):
            raise InvalidParameter("input holds token ids that are not text in cl100k_base", param="input")
        return known

    async def aclose(self) -> None:
        """Ends the process; what still waits for it fails."""
        self._closed = True
        if self._child is not None:
            self._child.kill()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._drop()

    async def _asked(self, **question: Any) -> bytes:
        try:
            message = msgspec.msgpack.encode(question)
        except OverflowError:
            raise InvalidParameter("input holds token ids that are not text in cl100k_base", param="input") from None
        if self._closed:
            raise ChildProcessError
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, message)

    def _ask(self, message: bytes) -> bytes:
        """One question and its answer, on the thread; raises OSError."""
        child = self._child or self._started()
        try:
            write(cast("BinaryIO", child.stdin), message)
            reply = read(cast("BinaryIO", child.stdout))
            if reply is None:
                raise ChildProcessError
        except OSError:
            self._drop()
            raise
        self._starts = MAX_STARTS
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        """A new process, unless the last ones all failed or the end has come."""
        if not self._starts or self._closed:
            raise ChildProcessError
        self._starts -= 1
        # By path and with -P: a folder named `router` in the working directory must not be taken for this one.
        command = [sys.executable, "-P", str(Path(__file__).with_name("tokens_child.py"))]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(  # noqa: S603
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
        )
        if self._closed:
            self._child.kill()
        return self._child

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                cast("BinaryIO", pipe).close()
        child.wait()


def guess(text: str) -> int:
    """About how many tokens a text is, by its length in UTF-8."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)
