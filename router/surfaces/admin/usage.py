"""`/api/usage` and `/api/requests`: what was used, added up and one by one."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from litestar import Controller, Response, get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from router.access.principal import Scope
from router.storage.usage_buffer import UsageRecord
from router.storage.values import UsageAsked, UsageTotal
from router.surfaces.admin.api import AnyRequest, api_of, principal_of, require_admin, require_key
from router.surfaces.capture import Bodies, CaptureBook

EPOCH = date(1970, 1, 1)
DEFAULT_DAYS = 30
MAX_REQUESTS = 1_000
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")

Count = Annotated[int, QueryParameter(ge=1, le=MAX_REQUESTS)]
By = Literal["day", "user", "model", "backend"]


class UsageReport(Struct):
    """Days are those of UTC, the last one included."""

    by: str
    since: date
    until: date
    totals: list[UsageTotal]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReport(UsageRecord):
    """A request, and what was sent and answered if that was captured."""

    bodies: Bodies | None


class UsageApi(Controller):
    """One's own usage, or for an admin everybody's."""

    guards = (require_key,)
    tags = ("usage",)

    @get("/api/usage", summary="Tokens, requests, errors and times, added up; as=csv for a spreadsheet")
    async def usage(
        self,
        request: AnyRequest,
        by: FromQuery[By] = "day",
        since: FromQuery[date | None] = None,
        until: FromQuery[date | None] = None,
        form: Annotated[Literal["json", "csv"], QueryParameter(name="as")] = "json",
    ) -> Response[UsageReport | str]:
        until = until or datetime.now(UTC).date()
        since = since or max(until - timedelta(days=DEFAULT_DAYS - 1), EPOCH) if until > EPOCH else EPOCH
        user_id, key_id = _whose(request)
        asked = UsageAsked(
            by=by, since_day=(since - EPOCH).days, until_day=(until - EPOCH).days, user_id=user_id, key_id=key_id
        )
        totals = [_dated(total, by) for total in await api_of(request).stored.usage.totals(asked)]
        if form == "csv":
            return Response(_csv(totals, by), media_type="text/csv")
        return Response(UsageReport(by, since, until, totals))

    @get("/api/requests", summary="The last requests; their content only where the settings have it captured")
    async def requests(self, request: AnyRequest, limit: Count = 100) -> list[RequestReport]:
        captured = api_of(request).captured
        return [_report(record, captured) for record in await _last(request, limit)]


async def _last(request: AnyRequest, limit: int) -> Sequence[UsageRecord]:
    stored, (user_id, key_id) = api_of(request).stored, _whose(request)
    if user_id is not None:
        keys = [key.id for key in await stored.keys.all(user_id)]
        return await stored.usage.of_key(keys, limit)
    if key_id is not None:
        return await stored.usage.of_key([key_id], limit)
    return await stored.usage.latest(limit)


def _report(record: UsageRecord, captured: CaptureBook | None) -> RequestReport:
    bodies = captured.find(record.key_id, record.request_id) if captured else None
    return RequestReport(**asdict(record), bodies=bodies)


def _whose(request: AnyRequest) -> tuple[str | None, str | None]:
    """The user, or the key that belongs to none, whose usage may be seen; an admin sees everybody's."""
    principal = principal_of(request)
    if Scope.ADMIN in principal.scopes:
        require_admin(request, request.route_handler)
        return None, None
    return (principal.user_id, None) if principal.user_id else (None, principal.key_id)


def _dated(total: UsageTotal, by: str) -> UsageTotal:
    if by != "day":
        return total
    day = EPOCH + timedelta(days=int(total.name))
    return UsageTotal(day.isoformat(), *astuple(total)[1:])


def _csv(totals: list[UsageTotal], by: str) -> str:
    """A name that a spreadsheet would take for a formula gets a quote before it."""
    names = [field.name for field in fields(UsageTotal)]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([by, *names[1:]])
    for total in totals:
        name, *counts = astuple(total)
        writer.writerow([f"'{name}" if name.startswith(_DANGEROUS) else name, *counts])
    return text.getvalue()
