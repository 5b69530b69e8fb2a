"""What is learned from requests, and how it is kept."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator

import pytest

from router.canonical.request import ChatRequest
from router.usage.calibration import Calibration, Kind
from router.usage.calibration_file import NAME, CalibrationFile
from router.usage.lessons import MAX_WAITING, PAUSE_S, SIZES, Lessons
from router.usage.prompt import Count
from router.usage.tokenizer import Tokenizer
from tests.dialects.asking import parsed

pytestmark = pytest.mark.anyio

KIND = Kind("ollama", "m")
PROSE = "The quick brown fox jumps over the lazy dog. "


@pytest.fixture
async def tokenizer(anyio_backend) -> AsyncIterator[Tokenizer]:
    made = Tokenizer()
    yield made
    await made.aclose()


def saying(characters: int) -> ChatRequest:
    return parsed(messages=[{"role": "user", "content": PROSE * (characters // len(PROSE))}])


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def taught(lessons: Lessons) -> int:
    """Lets the lessons that wait be learned; how many have been learned in all."""
    learning = asyncio.create_task(lessons.run())
    async with asyncio.timeout(20):
        while not lessons._waiting.empty():
            await asyncio.sleep(0.01)
        before = -1
        while before != lessons.calibration.changes:
            before = lessons.calibration.changes
            await asyncio.sleep(0.05)
    learning.cancel()
    return lessons.calibration.changes


async def test_a_model_is_learned_from_at_most_once_in_a_while(tokenizer):
    clock = Clock()
    lessons = Lessons(Calibration(), tokenizer, clock=clock)
    await tokenizer.count("warm")
    for _ in range(3):
        lessons.offer(saying(4_000), "ollama", "m:latest", true=900)
    assert await taught(lessons) == 1
    clock.now += PAUSE_S
    lessons.offer(saying(4_000), "ollama", "M", true=900)
    assert await taught(lessons) == 2
    assert lessons.calibration.ratio(KIND).samples == 2


@pytest.mark.parametrize("size", [SIZES.start // 2, SIZES.stop + 1_000])
async def test_what_teaches_little_or_costs_much_is_let_be(tokenizer, size):
    lessons = Lessons(Calibration(), tokenizer)
    lessons.offer(saying(size), "ollama", "m", true=900)
    assert lessons._waiting.empty()
    assert not tokenizer.is_running


async def test_no_more_than_a_few_requests_are_held(tokenizer):
    lessons = Lessons(Calibration(), tokenizer)
    for number in range(MAX_WAITING + 5):
        lessons.offer(saying(4_000), "ollama", str(number), true=900)
    assert lessons._waiting.qsize() == MAX_WAITING


async def test_an_estimate_that_is_there_already_is_used_at_once(tokenizer):
    lessons = Lessons(Calibration(), tokenizer)
    for _ in range(9):
        lessons.offer(saying(10), "ollama", "m", true=1_500, count=Count(1_000.0))
    assert lessons.calibration.ratio(KIND).factor == pytest.approx(1.5)
    lessons.offer(saying(10), "ollama", "m", true=5, count=Count(1_000.0, guessed=True))
    lessons.offer(saying(10), "ollama", "m", true=5, count=Count(1_000.0, images=1))
    assert lessons.calibration.ratio(KIND).samples == 9


def known() -> Calibration:
    calibration = Calibration()
    for _ in range(9):
        calibration.observe(KIND, 1_000, 1_200)
    return calibration


def test_what_is_kept_comes_back(tmp_path):
    calibration = known()
    CalibrationFile(tmp_path / "new").save(calibration)
    assert list(CalibrationFile(tmp_path / "new").load()) == list(calibration)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [NAME]
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_nothing_new_is_not_written_again(tmp_path):
    file, calibration = CalibrationFile(tmp_path), known()
    file.save(calibration)
    (tmp_path / NAME).unlink()
    file.save(calibration)
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_kept():
    file = CalibrationFile(None)
    file.save(known())
    assert list(file.load()) == []


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff", b"[]", b'{"version": 2, "models": []}', b'{"version": "x"}'])
def test_a_file_that_cannot_be_used_is_begun_anew(tmp_path, junk):
    (tmp_path / NAME).write_bytes(junk)
    assert list(CalibrationFile(tmp_path).load()) == []


def test_numbers_that_cannot_be_are_not_believed(tmp_path):
    CalibrationFile(tmp_path).save(known())
    document = json.loads((tmp_path / NAME).read_text())
    document["models"][0]["ratio"]["mean"] = 1e9
    (tmp_path / NAME).write_text(json.dumps(document))
    assert list(CalibrationFile(tmp_path).load()) == []


def test_a_folder_that_cannot_be_written_is_told_and_stops_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    CalibrationFile(tmp_path / "file").save(known())
    assert "cannot be written" in caplog.text
