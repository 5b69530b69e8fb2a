"""Who asks: completions in bursts, chats, agents in a loop, batch jobs. Each draws from a generator of their own."""

from collections.abc import Iterator
from random import Random

from bench.simulate.world import Person, Request
from router.admission.claims import Priority

BATCHES = {"nightly": (140, 16), "mailing": (140, 16), "report": (50, 4), "thesis": (50, 4)}  # jobs, at once
BATCH_STARTS_S = 120.0
BATCH_MODELS = {"nightly": "writer", "mailing": "chat", "report": "vision", "thesis": "writer"}


def everybody(seed: int) -> Iterator[Person]:
    """All people of one run; the same for the same seed."""
    for n in range(6):
        yield _coder(f"coder{n}", Random(f"{seed}/coder{n}"))
    for n in range(8):
        yield _chatter(f"chat{n}", Random(f"{seed}/chat{n}"))
    for n in range(2):
        yield _agent(f"agent{n}", Random(f"{seed}/agent{n}"))
    for name, (jobs, at_once) in BATCHES.items():
        work = _jobs(name, jobs, Random(f"{seed}/{name}"))
        yield from (_batch(work) for _ in range(at_once))


def _coder(user: str, random: Random) -> Person:
    while True:
        yield random.expovariate(1 / 45)
        for _ in range(random.randint(3, 8)):
            yield Request(user, "coder", Priority.INTERACTIVE, random.uniform(0.4, 1.5))
            yield random.uniform(0.5, 2.0)


def _chatter(user: str, random: Random) -> Person:
    while True:
        yield random.expovariate(1 / 40)
        model = random.choices(("chat", "large", "vision"), (7, 2, 1))[0]
        for _ in range(random.randint(1, 5)):
            yield Request(user, model, Priority.INTERACTIVE, random.uniform(3, 10))
            yield random.expovariate(1 / 25)


def _agent(user: str, random: Random) -> Person:
    while True:
        yield random.expovariate(1 / 60)
        model = random.choice(("large", "chat"))
        for _ in range(random.randint(5, 20)):
            yield Request(user, model, Priority.NORMAL, random.uniform(2, 7))
            yield random.uniform(0.2, 2.0)


def _jobs(user: str, jobs: int, random: Random) -> Iterator[Request]:
    for _ in range(jobs):
        yield Request(user, BATCH_MODELS[user], Priority.BATCH, random.uniform(4, 10))


def _batch(work: Iterator[Request]) -> Person:
    yield BATCH_STARTS_S
    for job in work:
        tried = job
        yield tried
        while tried.gave_up:
            yield 10.0
            tried = Request(job.user, job.model, job.priority, job.service_s)
            yield tried
