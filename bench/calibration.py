"""`python -m bench.calibration`: how far estimates are from a real model's counts, before and after calibration.

Needs the extra `demo`. Nothing is generated: llama.cpp counts each prompt with its own template and vocabulary. "After"
is what the calibration predicted before it was told that count.
"""

import argparse
import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles

from rich.console import Console
from rich.table import Table

from adapters.llama_cpp import LlamaCpp
from router.canonical.adapter import Attempt, BackendConfig
from router.canonical.request import ChatRequest
from router.dialects import openai_chat
from router.embedded import Spec, child_process, model_file, ready
from router.usage.calibration import Calibration, Kind
from router.usage.prompt import prompt_count
from router.usage.tokenizer import Tokenizer

ROOT = Path(__file__).parent.parent
START_S = 60.0
COUNT_S = 30.0
CONTEXT = 8_192
FIRST = 24
"""Prompts at the beginning that only teach, and are not judged: two of each kind."""

LANGUAGES = {
    "German": "Der Hafenmeister schrieb jedes Schiff auf, das vor dem Sturm noch einlief, und zählte die Überlebenden.",
    "Russian": "Начальник порта записывал каждое судно, которое успело войти в гавань до начала бури.",
    "Chinese": "港务长记下了暴风雨来临之前驶入港口的每一艘船，并清点了船上的人数。",  # noqa: RUF001
    "Japanese": "港長は嵐の前に入港したすべての船を書き留め、乗っていた人の数を数えた。",
    "Arabic": "كتب رئيس الميناء أسماء كل السفن التي دخلت قبل العاصفة وعد الناجين واحدا واحدا.",
    "Hindi": "बंदरगाह के प्रमुख ने तूफान से पहले आने वाले हर जहाज का नाम लिखा और यात्रियों को गिना।",
}
TOOL = {
    "type": "function",
    "function": {
        "name": "search_files",
        "description": "Finds the files of a project whose text matches a pattern, and the lines that do.",
        "parameters": {
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "description": "A regular expression."},
                "folder": {"type": "string", "description": "Where to begin; the project's root by default."},
                "limit": {"type": "integer", "minimum": 1, "maximum": 500},
            },
            "required": ["pattern"],
        },
    },
}
TEMPLATE = """{%- if tools %}<|im_start|>system
You may call one or more functions. Their signatures are within <tools></tools>:
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
Answer a call with {"name": ..., "arguments": ...} within <tool_call></tool_call>.<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}
<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""As Qwen's and Hermes' models have it; the model's own has no place for tools."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt: its kind of text, its true tokens, and both estimates of them."""

    text: str
    true: int
    before: float
    after: float


def prompts(chance: random.Random, times: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Bodies of chat requests, of all kinds of text in turn."""
    texts = {
        "code": _joined("router/**/*.py"),
        "JSON": _joined("tests/recordings/**/*.json"),
        "prose": _joined("*.md"),
        "YAML": _joined("config/*.yaml"),
    }
    for _ in range(times):
        for name, text in texts.items():
            yield name, _conversation([_slice(text, chance)])
        for language, sentence in LANGUAGES.items():
            yield language, _conversation([" ".join([sentence] * chance.randint(5, 40))])
        turns = [_slice(texts[chance.choice(("code", "prose"))], chance, most=800) for _ in range(9)]
        yield "many turns", _conversation(turns)
        tools = [{**TOOL, "function": {**TOOL["function"], "name": f"tool_{at}"}} for at in range(chance.randint(1, 9))]
        yield "tools", {**_conversation([_slice(texts["prose"], chance, most=2_000)]), "tools": tools}


def _joined(pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(pattern)))


def _slice(text: str, chance: random.Random, *, most: int = 12_000) -> str:
    size = chance.randint(400, most)
    at = chance.randrange(max(len(text) - size, 1))
    return text[at : at + size]


def _conversation(texts: Sequence[str]) -> dict[str, object]:
    roles = ("user", "assistant")
    said = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"model": "bench", "messages": [{"role": "system", "content": "You are a helpful assistant."}, *said]}


async def measured(times: int, seed: int, folder: Path) -> list[Sample]:
    """Every prompt, counted and estimated."""
    template = folder / "template.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    tokenizer, calibration, samples = Tokenizer(), Calibration(), list[Sample]()
    async with child_process(Spec("bench", model_file(), CONTEXT, 1, embedding=False, chat_template=template)) as child:
        server = await ready(child, timeout_s=START_S)
        adapter = LlamaCpp(BackendConfig(name="bench", url=server.url))
        try:
            for text, body in prompts(random.Random(seed), times):
                request = openai_chat.parse_request(json.dumps(body).encode())
                samples.append(await _sample(text, request, adapter, tokenizer=tokenizer, calibration=calibration))
        finally:
            await adapter.aclose()
            await tokenizer.aclose()
    return samples


async def _sample(
    text: str, request: ChatRequest, adapter: LlamaCpp, *, tokenizer: Tokenizer, calibration: Calibration
) -> Sample:
    true = await adapter.prompt_tokens(request, Attempt(model="bench", shown="bench"), timeout_s=COUNT_S)
    if not true:
        raise RuntimeError("the server did not count a prompt")
    count = await prompt_count(request, tokenizer)
    kind = Kind("llama_cpp", "bench", count.foreign)
    after = count.corrected(calibration.ratio(kind))[0]
    calibration.observe(kind, count.text + count.tools, true)
    return Sample(text, true, count.tokens, after)


def show(samples: Sequence[Sample]) -> None:
    """Print the errors: the mean, and what 95 of 100 stay below."""
    table = Table("text", "prompts", "tokens", "before: mean", "95%", "after: mean", "95%")
    for text in (*dict.fromkeys(sample.text for sample in samples), "all"):
        mine = [sample for sample in samples if text in {sample.text, "all"}]
        table.add_row(
            text,
            str(len(mine)),
            f"{min(sample.true for sample in mine)}-{max(sample.true for sample in mine)}",
            *_errors([sample.before / sample.true - 1 for sample in mine]),
            *_errors([sample.after / sample.true - 1 for sample in mine]),
        )
    Console(width=120).print(table)


def _errors(errors: Sequence[float]) -> tuple[str, str]:
    sizes = [abs(error) for error in errors]
    return f"{fmean(sizes):.1%}", f"{quantiles(sizes, n=20)[-1]:.1%}"


def main() -> None:
    """Parse the arguments and run."""
    import tempfile

    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    parser.add_argument("--times", type=int, default=20, metavar="N", help="prompts of each kind of text")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = asyncio.run(measured(given.times, given.seed, Path(folder)))
    show(samples[FIRST:])


if __name__ == "__main__":
    main()
