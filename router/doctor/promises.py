"""Whether aliases and other names in the settings keep what they promise. Pure."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from router.canonical.models import ModelInfo, canonical_name
from router.doctor.findings import CLAUDE, LLAMA_CPP, OLLAMA, BackendFindings, Complaint, Findings, Promise

USUAL_OLLAMA = frozenset({"127.0.0.1:11434", "localhost:11434"})
MAX_NAMED = 5
_LOOKS_LIKE_EMBEDDING = re.compile(r"embed|(^|[/-])(bge|e5|gte|minilm)\b", re.IGNORECASE)


def about_promises(findings: Findings) -> Iterator[Complaint]:
    """What is wrong with names that lead to a backend whose models are known."""
    backends = {backend.name: backend for backend in findings.backends}
    for promise in findings.promises:
        backend = backends.get(promise.backend)
        if backend is None or backend.probe is None:
            continue
        info = _model(backend, promise.model)
        if info is None:
            yield from _missing(promise, backend)
        else:
            yield from _purpose(promise, backend, info)
            yield from _context(promise, backend, info)


def about_conflicts(findings: Findings) -> Iterator[Complaint]:
    """Aliases that make an Ollama server load one model now with this context length, now with that."""
    kinds = {backend.name: backend.kind for backend in findings.backends}
    first: dict[tuple[str, str], Promise] = {}
    for promise in findings.promises:
        if promise.context_length is None or kinds.get(promise.backend) != OLLAMA:
            continue
        other = first.setdefault((promise.backend, canonical_name(promise.model)), promise)
        if other.context_length != promise.context_length:
            what = (
                f"{promise.backend} loads {promise.model} anew whenever requests for {other.place} and this alternate."
            )
            mend = f"Give both the same context_length, such as {other.context_length}."
            yield _wrong(promise, "reloads", what=what, mend=mend, severity="warning")


def _model(backend: BackendFindings, name: str) -> ModelInfo | None:
    """A llama.cpp server with one model answers to any name; Claude's models may be named without their date."""
    models = backend.probe.models if backend.probe else ()
    if backend.kind == LLAMA_CPP and len(models) == 1:
        return models[0]
    wanted = canonical_name(name)
    same = re.compile(rf"{re.escape(wanted)}(-\d{{8}})?" if backend.kind == CLAUDE else re.escape(wanted))
    return next((model for model in models if same.fullmatch(canonical_name(model.name))), None)


def _wrong(promise: Promise, code: str, *, what: str, mend: str, severity: str = "error") -> Complaint:
    return Complaint(code=code, severity=severity, place=promise.place, what=what, mend=mend)


def _missing(promise: Promise, backend: BackendFindings) -> Iterator[Complaint]:
    names = [model.name for model in backend.probe.models] if backend.probe else []
    close = get_close_matches(promise.model, names, n=1)
    meant = f", or write {backend.name}/{close[0]} if that is meant" if close else ""
    if backend.kind == OLLAMA:
        host = "" if backend.address in USUAL_OLLAMA else f"OLLAMA_HOST={backend.address} "
        what = f"{backend.name} has not pulled {promise.model}."
        mend = f"Run `{host}ollama pull {promise.model}`{meant}."
    else:
        known = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
        what = f"{backend.name} has no model {promise.model}."
        mend = f"Write {backend.name}/{close[0]}." if close else f"Name one that it has: {known or 'it lists none'}."
    yield _wrong(promise, "model_missing", what=what, mend=mend)


def _purpose(promise: Promise, backend: BackendFindings, info: ModelInfo) -> Iterator[Complaint]:
    if promise.embedding is None:
        return
    if not promise.embedding and _only_embeds(info):
        what = f"{backend.name}/{info.name} makes embeddings and cannot chat."
        mend = "Tag the alias `embedding` if that is what it is for, or give it a chat model."
        yield _wrong(promise, "embedding_model", what=what, mend=mend)
    elif promise.embedding and backend.kind != LLAMA_CPP and info.capabilities and not info.can("embedding"):
        what = f"the alias is tagged `embedding` but {backend.name}/{info.name} makes none."
        mend = "Give it an embedding model, such as nomic-embed-text, or take the tag away."
        yield _wrong(promise, "chat_model", what=what, mend=mend)


def _only_embeds(info: ModelInfo) -> bool:
    if info.capabilities is None:
        return _LOOKS_LIKE_EMBEDDING.search(info.name) is not None
    return info.can("embedding") and not info.can("chat")


def _context(promise: Promise, backend: BackendFindings, info: ModelInfo) -> Iterator[Complaint]:
    promised = promise.context_length
    limit = backend.limits.get(promise.model) if backend.kind == OLLAMA else info.context_length
    if promised is None or limit is None or promised <= limit:
        return
    what = f"it promises a context of {promised} tokens and {backend.name}/{info.name} holds {limit}."
    mend = f"Set {promise.place}.context_length to {limit}"
    mend += f", or start the server with `-c {promised}` for each slot." if backend.kind == LLAMA_CPP else "."
    yield _wrong(promise, "context", what=what, mend=mend)
