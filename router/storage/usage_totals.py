"""Adding up what was used, in the database."""

from typing import Any, cast

from sqlalchemy import Float, and_, case, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.ext.asyncio import AsyncSession

from router.storage.tables import ApiKeyRow, UsageRow, UserRow
from router.storage.values import UsageAsked, UsageTotal

_USED, _KEYS, _USERS = (cast("Any", row).__table__.c for row in (UsageRow, ApiKeyRow, UserRow))
OK = "ok"
_MEDIAN, _LATE = 50, 95


async def totals(session: AsyncSession, asked: UsageAsked) -> tuple[UsageTotal, ...]:
    """One total for each day, user, model or backend, in their order."""
    group = _GROUPS[asked.by]
    found: dict[Any, Any] = {row[0]: row for row in await session.execute(_sums(group, asked))}
    firsts: dict[Any, Any] = {
        row[0]: row[1:] for row in await session.execute(_percentiles(group, _USED.first_token_s, asked))
    }
    speeds: dict[Any, Any] = {row[0]: row[1:] for row in await session.execute(_percentiles(group, _SPEED, asked))}
    none = (None, None)
    return tuple(
        UsageTotal(
            str(name),
            *(int(count) for count in found[name][1:]),
            *firsts.get(name, none),
            tokens_per_s_p50=speeds.get(name, none)[0],
        )
        for name in sorted(found)
    )


def _sums(group: Any, asked: UsageAsked) -> Any:
    tokens = [func.coalesce(func.sum(count), 0) for count in (_USED.prompt_tokens, _USED.completion_tokens)]
    counted = func.coalesce(_USED.prompt_tokens, 0) + func.coalesce(_USED.completion_tokens, 0)
    wrong = func.sum(case((_USED.outcome.in_((OK, "client_left")), 0), else_=1))
    estimated = func.coalesce(func.sum(case((_USED.estimated, counted), else_=0)), 0)
    columns: Any = (group.label("name"), func.count(), wrong, *tokens, estimated)
    return _from(select(*columns), asked).group_by(group)


def _percentiles(group: Any, value: Any, asked: UsageAsked) -> Any:
    """The values below which half, and nearly all, of each group are."""
    place = func.row_number().over(partition_by=group, order_by=value)
    size = func.count().over(partition_by=group)
    known = select(group.label("name"), value.label("value"), place.label("place"), size.label("size"))
    ranked = _from(known, asked).where(value.is_not(None)).subquery()
    picked = [
        func.max(case((ranked.c.place == (ranked.c.size * part + 99) // 100, ranked.c.value)))
        for part in (_MEDIAN, _LATE)
    ]
    return select(ranked.c.name, *picked).group_by(ranked.c.name)


def _from(wanted: Any, asked: UsageAsked) -> Any:
    joined = (
        wanted.select_from(UsageRow)
        .outerjoin(ApiKeyRow, _KEYS.id == _USED.key_id)
        .outerjoin(UserRow, _USERS.id == _KEYS.user_id)
        .where(_USED.day >= asked.since_day, _USED.day <= asked.until_day)
    )
    if asked.user_id is not None:
        joined = joined.where(_KEYS.user_id == asked.user_id)
    return joined if asked.key_id is None else joined.where(_USED.key_id == asked.key_id)


_GROUPS: dict[str, Any] = {
    "day": _USED.day,
    "user": func.coalesce(_USERS.name, _USED.key_id),
    "model": _USED.model,
    "backend": _USED.backend,
}
_AFTER_FIRST = _USED.duration_s - _USED.first_token_s
_SPEED = case(
    (
        and_(_USED.outcome == OK, _USED.completion_tokens > 1, _AFTER_FIRST > 0),
        as_type(_USED.completion_tokens - 1, Float) / _AFTER_FIRST,
    )
)
