"""Letting the doctor look at fakes, over the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

from router.app import build_fleet, close
from router.doctor.advice import complaints
from router.doctor.findings import Complaint, Findings
from router.doctor.look import examine
from router.settings import Settings


async def found(
    config: Mapping[str, Any], *, optional: frozenset[str] = frozenset(), ports: Sequence[int] = ()
) -> Findings:
    """What the doctor finds with these settings; `ports` are looked at where a connection is refused."""
    settings = Settings.model_validate({"health": {"timeout_s": 1}, **config})
    fleet = build_fleet(settings, optional=optional)
    try:
        return await examine(settings, fleet.adapters, optional=optional, usual_ports=ports)
    finally:
        await close(fleet)


async def told(config: Mapping[str, Any], **more: Any) -> list[Complaint]:
    """What the doctor complains about."""
    return complaints(await found(config, **more))


async def only(config: Mapping[str, Any], **more: Any) -> Complaint:
    """The only complaint, which is one sentence of what and one of how to mend it."""
    (complaint,) = await told(config, **more)
    for sentence in (complaint.what, complaint.mend):
        assert sentence.endswith(".")
        assert "\n" not in sentence
    return complaint


def backend(kind: str, url: str, **more: Any) -> dict[str, Any]:
    """Settings with this one backend, called desk."""
    return {"backends": {"desk": {"type": kind, "url": url, **more}}}
