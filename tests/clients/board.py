"""Plays clients' scenes, the kinds of backend side by side, and remembers what came of each."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from router.connect.guide import PROMPT, Place
from tests.clients.client import Client, Session
from tests.clients.running import until
from tests.clients.scenes import Played, Scene
from tests.fakes import FakeBackend, Faults
from tests.sdk.kinds import REAL, Kind
from tests.sdk.stage import Stage, chat_alias

Part = tuple[Client, Kind, Scene]
SETTLE_S = 10.0


class Board:
    """`wanted` are the parts that will be asked for; those of one client are played together, at the first question."""

    def __init__(self, stage: Stage, prefix: Sequence[str], wanted: Sequence[Part]) -> None:
        self._stage = stage
        self._prefix = prefix
        self._wanted = wanted
        self._played: set[str] = set()
        self._failures: dict[tuple[str, str, str], BaseException | None] = {}

    def outcome(self, client: Client, kind: Kind, scene: Scene) -> None:
        """Raises what the scene failed with. Asked a second time, it is played a second time."""
        name = (client.name, kind.name, scene.name)
        if client.name not in self._played:
            self._played.add(client.name)
            self._play([part for part in self._wanted if part[0] is client])
        if name not in self._failures:
            self._play([(client, kind, scene)])
        if failure := self._failures.pop(name):
            raise failure

    def _play(self, parts: Sequence[Part]) -> None:
        by_kind = [list(group) for _, group in groupby(parts, key=lambda part: part[1].name)]
        with ThreadPoolExecutor(len(by_kind)) as pool:
            for _ in pool.map(self._play_over_one_kind, by_kind):
                pass

    def _play_over_one_kind(self, parts: Sequence[Part]) -> None:
        client, kind, _ = parts[0]
        fake = self._stage.fakes[kind.name]
        try:
            with self.session(client, kind) as session:
                for _, _, scene in parts:
                    self._failures[client.name, kind.name, scene.name] = _failure(client, session, scene, fake)
        except OSError as error:
            self._failures |= {(client.name, kind.name, scene.name): error for _, _, scene in parts}

    @contextmanager
    def session(self, client: Client, kind: Kind) -> Iterator[Session]:
        """The client in a home of its own, over the kind's alias."""
        home = Path(tempfile.mkdtemp(prefix=f"{client.name}-"))
        try:
            with client.session(Place(self._stage.url, chat_alias(kind)), home, self._prefix) as session:
                yield session
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def real_answer(self, client: Client) -> str:
        """What it prints of the real model's answer."""
        with self.session(client, REAL) as session:
            said = session.play("real", PROMPT)
        assert said.code == 0, said
        return said.text


def _failure(client: Client, session: Session, scene: Scene, fake: FakeBackend) -> AssertionError | None:
    fake.reset()
    scene.arrange(fake, client)
    try:
        scene.check(Played(client, fake, session.play(scene.name, scene.prompt)))
    except AssertionError as failure:
        return AssertionError(str(failure))  # what it tells of the backend is read now
    finally:
        fake.faults, fake.uses = Faults(), None
        until(lambda: fake.in_flight == 0, within_s=SETTLE_S)
    return None
