"""Adding up what was used: by day, user, model and backend, on both databases."""

from time import time

import pytest

from router.access.limits import DAY_S
from router.canonical.events import UsageReported
from router.storage.api_keys import ApiKeys, KeyTerms
from router.storage.usage import Usage
from router.storage.users import Users
from router.storage.values import UsageAsked, UsageTotal
from tests.storage.opening import opened, until
from tests.usage.recorded import recorded

pytestmark = pytest.mark.anyio

TODAY = int(time() // DAY_S)
ALL = {"since_day": 0, "until_day": TODAY + 1}


async def test_what_was_used_is_added_up_by_what_one_asks_for(url):
    async with opened(url) as database:
        ada = await Users(database).add("ada")
        made = await ApiKeys(database).create(ada.id, KeyTerms(name="laptop"))
        for day, model, first in ((TODAY, "m", 0.1), (TODAY, "m", 0.2), (TODAY, "n", 0.3), (TODAY - 1, "m", 0.4)):
            started_at = float(day * DAY_S)
            database.writer.buffer.record(
                recorded(key_id=made.id, model=model, started_at=started_at, first_token_s=first, duration_s=first + 2)
            )
        database.writer.buffer.record(
            recorded(
                key_id="12345678", started_at=TODAY * DAY_S, outcome="backend_error", first_token_s=None, usage=None
            )
        )
        guessed = UsageReported(prompt=1, completion=1, estimated=True)
        database.writer.buffer.record(
            recorded(key_id="12345678", started_at=TODAY * DAY_S, first_token_s=None, usage=guessed, backend="lab")
        )
        await until(lambda: database.state.written == 6)
        usage = Usage(database)
        by_user = await usage.totals(UsageAsked(by="user", **ALL))
        assert by_user == (
            UsageTotal("12345678", 2, 1, 1, 1, 2, None, None, None),
            UsageTotal("ada", 4, 0, 40, 84, 0, 0.2, 0.4, 10.0),
        )
        by_day = await usage.totals(UsageAsked(by="day", **ALL))
        assert [(total.name, total.requests) for total in by_day] == [(str(TODAY - 1), 1), (str(TODAY), 5)]
        by_model = await usage.totals(UsageAsked(by="model", user_id=ada.id, **ALL))
        assert [(total.name, total.requests) for total in by_model] == [("m", 3), ("n", 1)]
        by_backend = await usage.totals(UsageAsked(by="backend", key_id="12345678", **ALL))
        assert [(total.name, total.requests) for total in by_backend] == [("desk", 1), ("lab", 1)]
        yesterday = await usage.totals(UsageAsked(by="day", since_day=TODAY - 1, until_day=TODAY - 1))
        assert [total.requests for total in yesterday] == [1]
