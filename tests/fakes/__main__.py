"""`python -m tests.fakes`: a fake backend to start by hand."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fakes.backend import FakeBackend
from tests.fakes.persona import FakeModel
from tests.fakes.registry import Registry


def main(arguments: Sequence[str] | None = None) -> None:
    asyncio.run(serve(_parser().parse_args(arguments)))


async def serve(options: argparse.Namespace) -> None:
    models = [_model(text, options.cold) for text in options.model] or None
    fake = FakeBackend(models, flavour=options.kind, reply=options.reply, port=options.port)
    fake.thinking = options.thinking
    fake.load_s = options.load_seconds
    if options.registry:
        fake.registry = Registry(
            dict(map(_sizes, options.registry)), chunk=options.chunk, pause_s=options.chunk_seconds
        )
    if options.answered:
        fake.answered = _noting(options.answered)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    if options.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), over.set)
    async with fake:
        print(fake.url, flush=True)
        await over.wait()


def _model(text: str, cold: Sequence[str]) -> FakeModel:
    name, _, capabilities = text.partition("=")
    able = tuple(capabilities.split(",")) if capabilities else ("completion", "tools")
    return FakeModel(name, able, loaded=name not in cold)


def _sizes(text: str) -> tuple[str, list[int]]:
    name, _, sizes = text.rpartition("=")
    return name, [int(size) for size in sizes.split(",")]


def _noting(path: Path) -> Callable[[str], None]:
    """Writes at once, so that what was noted outlives `kill -9`."""

    def note(text: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    return note


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--kind", choices=("ollama", "llama_cpp", "openai", "claude"), default="ollama")
    parser.add_argument("--model", action="append", default=[], metavar="NAME[=CAPABILITY,...]")
    parser.add_argument("--cold", action="append", default=[], metavar="NAME", help="a model that is not loaded")
    parser.add_argument("--load-seconds", type=float, default=0.0, help="how long an Ollama takes to load one")
    parser.add_argument("--registry", action="append", default=[], metavar="NAME=BYTES[,BYTES...]", help="to be pulled")
    parser.add_argument("--chunk", type=int, default=100, help="bytes of a layer that come at once")
    parser.add_argument("--chunk-seconds", type=float, default=0.0, help="how long they take")
    parser.add_argument("--answered", type=Path, metavar="FILE", help="where to note what was answered to its end")
    parser.add_argument("--reply", default="Hello from the fake.")
    parser.add_argument("--thinking", help="reasoning text that comes before the reply")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the parent process")
    return parser


if __name__ == "__main__":
    main()
