"""Any traffic, played to the end on a clock of its own: what may never happen does not, and everybody is served."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from router.processes.child import Child, Phase
from router.processes.memory import Budget
from router.processes.steps import Fail, Kill, Spawn, Stop, Terms, Yard, due, next_step

NAMES = ("a", "b", "c")
LOAD_S, GRACE_S, USE_S, STOP_S = 5.0, 3.0, 2.0, 1.0


@dataclass
class Play:
    """Processes that load and stop in a fixed time; `stubborn` ones end only when they are killed."""

    memory: int
    sizes: dict[str, int]
    stubborn: frozenset[str] = frozenset()
    now: float = 0.0
    children: dict[str, Child] = field(default_factory=lambda: {name: Child(name) for name in NAMES})
    asked: list[str] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)
    uses: list[tuple[float, str]] = field(default_factory=list)
    served: int = 0

    @property
    def yard(self) -> Yard:
        terms = Terms("g", idle_unload_s=60, load_s=20)
        return Yard(self.children, dict.fromkeys(NAMES, terms), {"g": Budget(self.memory, self.sizes)})

    def ask(self, name: str) -> None:
        self.children[name] = self.children[name].entered(self.now)
        self.asked.append(name)
        self.settle()

    def settle(self) -> None:
        for _ in range(50):
            step = next_step(self.yard, self.now)
            if step is None:
                return
            self.take(step)
        raise AssertionError("it never comes to rest")

    def take(self, step) -> None:
        child = self.children[step.name]
        match step:
            case Spawn():
                assert not child.is_alive
                self.children[step.name] = child.spawned(self.now)
                alive = {name for name, each in self.children.items() if each.is_alive}
                assert len(alive) == 1 or sum(self.sizes[name] for name in alive) <= self.memory
            case Stop(failing=failing):
                assert not failing
                assert child.is_idle, "nobody busy or loading is ever stopped"
                self.children[step.name] = child.stopping(self.now, GRACE_S)
                self.ends[step.name] = self.now + (1e9 if step.name in self.stubborn else STOP_S)
            case Kill():
                self.children[step.name] = child.killed()
                self.ends[step.name] = self.now
            case Fail():
                raise AssertionError(step.why)

    def tick(self) -> None:
        self.now += 0.5
        for name, child in self.children.items():
            if child.phase is Phase.STARTING and self.now >= child.since + LOAD_S:
                self.children[name] = child.answered(child.start, self.now, is_ready=True)
            elif child.phase is Phase.STOPPING and self.now >= self.ends[name]:
                self.children[name] = child.exited(child.start, self.now, "ended")
        for name in [name for name in self.asked if self.children[name].phase is Phase.READY]:
            self.asked.remove(name)
            self.uses.append((self.now + USE_S, name))
        for use in [use for use in self.uses if use[0] <= self.now]:
            self.uses.remove(use)
            self.children[use[1]] = self.children[use[1]].left(self.now)
            self.served += 1
        self.settle()


@given(
    st.lists(st.tuples(st.integers(0, 10), st.sampled_from(NAMES)), min_size=1, max_size=12),
    st.fixed_dictionaries({name: st.integers(1, 4) for name in NAMES}),
    st.integers(1, 8),
    st.frozensets(st.sampled_from(NAMES)),
)
def test_whatever_is_asked_for_is_served(asks, sizes, memory, stubborn):
    play = Play(memory, sizes, stubborn)
    for pause, name in asks:
        for _ in range(pause):
            play.tick()
        play.ask(name)
    for _ in range(len(asks) * 40):
        play.tick()
    assert play.served == len(asks)
    assert all(child.users == 0 for child in play.children.values())
    for _ in range(200):
        play.tick()
    assert all(child.phase is Phase.STOPPED for child in play.children.values()), "idle for long"
    assert due(play.yard, play.now) is None


def test_a_smaller_one_does_not_overtake_who_has_waited_longer():
    children = {
        "a": Child("a").spawned(0).answered(1, 0, is_ready=True).entered(1),
        "b": Child("b").wanted(2),
        "c": Child("c").wanted(3),
    }
    terms = dict.fromkeys("abc", Terms("g"))
    yard = Yard(children, terms, {"g": Budget(4, {"a": 3, "b": 3, "c": 1})})
    assert next_step(yard, 4) is None
    alone = Yard({**children, "b": Child("b")}, terms, yard.budgets)
    assert next_step(alone, 4) == Spawn("c")


def test_the_next_moment_is_the_nearest_deadline():
    children = {
        "a": Child("a").spawned(0).answered(1, 0, is_ready=True),
        "b": Child("b").spawned(5),
        "c": Child("c").spawned(0).stopping(6, 5),
    }
    terms = {"a": Terms("g", idle_unload_s=100), "b": Terms("g", load_s=20), "c": Terms("g")}
    assert due(Yard(children, terms, {"g": Budget()}), 7) == 11


def test_who_runs_always_is_never_sent_away():
    children = {"a": Child("a").spawned(0).answered(1, 0, is_ready=True), "b": Child("b").wanted(2)}
    terms = {"a": Terms("g", always=True, idle_unload_s=1), "b": Terms("g")}
    assert next_step(Yard(children, terms, {"g": Budget(1, {"a": 1, "b": 1})}), 50) is None
