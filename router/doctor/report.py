"""What the doctor says, for people and for machines."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from router.doctor.findings import BackendFindings, Complaint, Contact, Findings
from router.usage.calibration import Kind, Ratio

_STYLES = {"error": "red", "warning": "yellow"}


def lines(findings: Findings, complaints: Sequence[Complaint]) -> Iterator[Text]:
    """A line for every backend that was found, then two for everything that is wrong."""
    for backend in findings.backends:
        if backend.name in findings.optional and backend.probe is None:
            continue
        mine = [complaint for complaint in complaints if _concerns(complaint, backend.name)]
        worst = "error" if any(complaint.severity == "error" for complaint in mine) else "warning"
        mark = Text(worst if mine else "ok", style=_STYLES[worst] if mine else "green")
        yield Text.assemble(mark, f"  {backend.name}: {_described(backend)}")
    for kind, ratio in findings.estimates:
        yield Text(f"      estimates for {_kind(kind)}: off by {_errors(ratio)}, {ratio.samples} requests")
    for complaint in complaints:
        mark = Text(complaint.severity, style=_STYLES[complaint.severity])
        yield Text.assemble("\n", mark, f"  {complaint.place}: {complaint.what}")
        yield Text(f"    {complaint.mend}")
    plural = "s" if len(complaints) > 1 else ""
    yield Text(f"\n{len(complaints)} complaint{plural}" if complaints else "\nnothing is wrong")


def document(findings: Findings, complaints: Sequence[Complaint]) -> dict[str, Any]:
    """The same as plain values."""
    backends = [
        {
            "name": backend.name,
            "type": backend.kind,
            "url": None if backend.settings.launch is not None else backend.settings.url,
            "contact": backend.contact.value,
            "version": backend.probe.version if backend.probe else None,
            "models": [model.name for model in backend.probe.models] if backend.probe else [],
        }
        for backend in findings.backends
    ]
    estimates = [
        {
            "type": kind.backend,
            "model": kind.model,
            "text": "foreign" if kind.foreign else "plain",
            "factor": ratio.factor,
            "error_before": ratio.before,
            "error_after": ratio.after,
            "samples": ratio.samples,
        }
        for kind, ratio in findings.estimates
    ]
    told = [asdict(complaint) for complaint in complaints]
    return {"ok": not complaints, "backends": backends, "estimates": estimates, "complaints": told}


def _kind(kind: Kind) -> str:
    return f"{kind.backend} {kind.model}{', beyond ASCII' if kind.foreign else ''}"


def _errors(ratio: Ratio) -> str:
    return f"{ratio.before:.0%} before calibration, {ratio.after:.0%} after"


def _concerns(complaint: Complaint, backend: str) -> bool:
    place = f"backends.{backend}"
    return complaint.place == place or complaint.place.startswith(f"{place}.")


def _described(backend: BackendFindings) -> str:
    if backend.probe is None:
        state = "answers" if backend.contact is Contact.ANSWERS else backend.contact.value.replace("_", " ")
        return f"{backend.kind} {backend.whereabouts}, {state}"
    version = f" {backend.probe.version}" if backend.probe.version else ""
    return f"{backend.kind}{version} {backend.whereabouts}, {len(backend.probe.models)} models"
