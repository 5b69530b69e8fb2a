"""From what was found at the backends to what is wrong there and how to mend it. Pure."""

from collections.abc import Iterator

from router.doctor import reach
from router.doctor.findings import CLAUDE, LLAMA_CPP, OLLAMA, OPENAI, BackendFindings, Complaint, Findings
from router.doctor.promises import about_conflicts, about_promises
from router.doctor.reach import CALLED, wrong
from router.settings.address import is_local

KEEPS_CALL_IDS = (0, 12, 10)
MAX_SKEW_S = 60.0
COLD_LOAD_S = 60.0

_LOST = {
    OLLAMA: "context sizes, keep_alive and what its models can do",
    LLAMA_CPP: "its context size and what its template can do",
}


def complaints(findings: Findings) -> list[Complaint]:
    """Everything that is wrong, in the order of the settings."""
    found: list[Complaint] = []
    expected = [backend for backend in findings.backends if not _is_absent(backend, findings)]
    if not expected:
        found.append(_nobody_here(looked_around=bool(findings.optional)))
    for backend in expected:
        found += about_backend(backend, in_container=findings.in_container)
    return [*found, *about_promises(findings), *about_conflicts(findings)]


def _is_absent(backend: BackendFindings, findings: Findings) -> bool:
    """A place where one may turn up, and none that fits did."""
    return backend.name in findings.optional and backend.probe is None


def _nobody_here(*, looked_around: bool) -> Complaint:
    nobody = "no model server was found on this machine." if looked_around else "the settings name no backend."
    return Complaint(
        code="no_backend",
        severity="error",
        place="backends",
        what=nobody,
        mend="Start one (`ollama serve`, `llama-server -m MODEL.gguf`), or write where it is into turnout.yaml.",
    )


def about_backend(backend: BackendFindings, *, in_container: bool = False) -> Iterator[Complaint]:
    """What is wrong with one backend itself."""
    complaint = reach.about(backend, in_container=in_container)
    if complaint is not None:
        yield complaint
    yield from _of_another_type(backend)
    yield from _without_models(backend)
    yield from _too_old(backend)
    yield from _clock(backend)
    yield from _impatient(backend)


def _of_another_type(backend: BackendFindings) -> Iterator[Complaint]:
    """It works, but less well than it could."""
    if backend.kind != OPENAI or backend.probe is None:
        return
    found = OLLAMA if backend.identity.is_ollama else LLAMA_CPP if LLAMA_CPP in backend.identity.speaks else None
    if found is None:
        return
    what = f"it is {CALLED[found]} behind type openai, which loses {_LOST[found]}."
    mend = f"Set backends.{backend.name}.type to {found}."
    yield wrong(backend, "wrong_type", what=what, mend=mend, key="type", severity="warning")


def _without_models(backend: BackendFindings) -> Iterator[Complaint]:
    if backend.probe is None or backend.probe.models:
        return
    if backend.kind == OLLAMA:
        mend = "Pull one, for example with `ollama pull llama3.2`."
    elif backend.kind == CLAUDE:
        mend = f"Check what the account of backends.{backend.name}.api_key may use."
    else:
        mend = f"Load one there, or name its models in backends.{backend.name}.models."
    yield wrong(backend, "no_models", what="it has no models.", mend=mend)


def _too_old(backend: BackendFindings) -> Iterator[Complaint]:
    version = (backend.probe.version if backend.probe else None) or ""
    if backend.kind != OLLAMA or not (0, 0, 0) < _numbers(version) < KEEPS_CALL_IDS:
        return
    wanted = ".".join(map(str, KEEPS_CALL_IDS))
    what = f"Ollama {version} loses the ids of tool calls, which {wanted} keeps."
    yield wrong(backend, "too_old", what=what, mend=f"Update Ollama to {wanted} or newer.", severity="warning")


def _clock(backend: BackendFindings) -> Iterator[Complaint]:
    if backend.skew_s is None or abs(backend.skew_s) <= MAX_SKEW_S:
        return
    direction = "ahead of" if backend.skew_s > 0 else "behind"
    what = f"its clock is {abs(backend.skew_s):.0f} s {direction} this machine's."
    mend = "Set both by NTP (`timedatectl set-ntp true`)."
    yield wrong(backend, "clock", what=what, mend=mend, severity="warning")


def _impatient(backend: BackendFindings) -> Iterator[Complaint]:
    if not is_local(backend.host):
        return
    times = backend.settings.timeouts
    for name, seconds in (("first_token", times.first_token), ("idle", times.idle), ("total", times.total)):
        if seconds < COLD_LOAD_S:
            place = f"timeouts.{name}"
            what = f"{place} is {seconds:g} s, shorter than loading a model from disk is likely to take."
            mend = f"Set backends.{backend.name}.{place} to {COLD_LOAD_S:g} or more."
            yield wrong(backend, "impatient", what=what, mend=mend, key=place, severity="warning")


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("-", 1)[0].split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
