"""The settings file as editors, people and mounts change it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.config import parse, read
from router.config_watch import GONE_AFTER, Source, Watch
from router.settings import Settings

pytestmark = pytest.mark.anyio

ONE = "routing: {default_model: desk/one}\nbackends: {desk: {type: ollama, url: desk}}\n"
TWO = ONE.replace("desk/one", "desk/two")
POLL_S = 0.01


class Notes:
    """Who is told, and what was told."""

    def __init__(self) -> None:
        self.applied: list[Settings] = []
        self.refused: list[tuple[str, ...]] = []
        self.news = asyncio.Event()

    def apply(self, wanted: Settings) -> bool:
        self.applied.append(wanted)
        self.news.set()
        return True

    def refuse(self, problems: tuple[str, ...]) -> None:
        self.refused.append(problems)
        self.news.set()

    async def next(self) -> None:
        await asyncio.wait_for(self.news.wait(), 5)
        self.news.clear()

    @property
    def models(self) -> list[str | None]:
        return [settings.routing.default_model for settings in self.applied]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "turnout.yaml"
    file.write_text(ONE)
    return file


@asynccontextmanager
async def watching(file: Path, **environ: str) -> AsyncIterator[tuple[Notes, Watch]]:
    notes = Notes()
    text = read(file)
    watch = Watch(Source(file, environ, text, parse(text, source="f", environ=environ)), notes, poll_s=POLL_S)
    task = asyncio.create_task(watch.run())
    try:
        yield notes, watch
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_an_edit_is_taken_over(file):
    async with watching(file) as (notes, _):
        file.write_text(TWO)
        await notes.next()
    assert notes.models == ["desk/two"]


async def test_a_file_that_is_put_in_the_place_of_the_old_one_is_taken_over(file, tmp_path):
    async with watching(file) as (notes, _):
        (tmp_path / "new").write_text(TWO)
        (tmp_path / "new").replace(file)
        await notes.next()
        file.rename(tmp_path / "turnout.yaml~")
        file.write_text(ONE)
        await notes.next()
    assert notes.models == ["desk/two", "desk/one"]
    assert notes.refused == []


async def test_a_link_that_leads_elsewhere_is_an_edit(file, tmp_path):
    (tmp_path / "two.yaml").write_text(TWO)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    async with watching(link) as (notes, _):
        (tmp_path / "link.new").symlink_to(tmp_path / "two.yaml")
        (tmp_path / "link.new").replace(link)
        await notes.next()
    assert notes.models == ["desk/two"]


async def test_an_edit_between_reading_and_watching_is_not_missed(file):
    text = read(file)
    notes = Notes()
    watch = Watch(Source(file, {}, text, Settings()), notes, poll_s=POLL_S)
    file.write_text(TWO)
    task = asyncio.create_task(watch.run())
    await notes.next()
    task.cancel()
    await asyncio.wait((task,))
    assert notes.models == ["desk/two"]


async def test_touching_the_file_is_no_edit(file):
    async with watching(file) as (notes, _):
        os.utime(file, (1, 1))
        await asyncio.sleep(4 * POLL_S)
        file.write_text(TWO)
        await notes.next()
    assert notes.models == ["desk/two"]


async def test_a_file_that_is_asked_for_is_read_though_nothing_has_changed(file):
    async with watching(file) as (notes, watch):
        watch.ask()
        await notes.next()
    assert notes.models == ["desk/one"]


async def test_a_broken_file_is_refused_line_by_line_without_its_path(file):
    async with watching(file) as (notes, _):
        file.write_text("backends:\n  desk: {type: ollama, ulr: desk}\n")
        await notes.next()
        file.write_text(ONE)
        await notes.next()
    assert notes.refused[0][0].startswith('turnout.yaml:2: backends.desk: unknown key "ulr"')
    assert str(file.parent) not in str(notes.refused)
    assert notes.models == ["desk/one"]


@pytest.mark.parametrize("text", ["", "\n \n"])
async def test_an_emptied_file_is_an_accident(file, text):
    async with watching(file) as (notes, _):
        file.write_text(text)
        await notes.next()
    assert notes.applied == []
    assert "is empty" in notes.refused[0][0]


async def test_a_file_that_is_gone_is_told_once_and_its_return_is_an_edit(file):
    async with watching(file) as (notes, _):
        file.unlink()
        await notes.next()
        await asyncio.sleep(2 * GONE_AFTER * POLL_S / 4)
        file.write_text(ONE)
        await notes.next()
    assert [problems[0] for problems in notes.refused] == ["turnout.yaml: no such file"]
    assert notes.models == ["desk/one"]


async def test_variables_are_put_in_anew(file):
    async with watching(file, NAME="three") as (notes, _):
        file.write_text(ONE.replace("desk/one", "'desk/${NAME}'"))
        await notes.next()
    assert notes.models == ["desk/three"]
