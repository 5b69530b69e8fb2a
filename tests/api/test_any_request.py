"""What the description of /api allows, and much that it does not, asked by the hundred: never a server error."""

import functools

import anyio.to_thread
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

EXAMPLES = 25
"""Requests for each operation and kind of data."""
OPENAPI = "/docs/openapi.json"
UNTOLD = [positive_data_acceptance, negative_data_rejection]
"""No schema says that a name has to be visible and a user there, nor that the last of two equal parameters counts."""
MODES = {"as described": schemathesis.GenerationMode.POSITIVE, "not as described": schemathesis.GenerationMode.NEGATIVE}


def asked_by_the_hundred(document, url, headers, mode) -> list[str]:
    """Sends what hypothesis finds for each operation; the operations that were asked."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            case.validate_response(case.call(headers=headers, timeout=10), excluded_checks=UNTOLD)

        ask()
    return [operation.label for operation in operations]


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # the router does, in this very process
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("who", ["admin", "ada"])
async def test_no_request_makes_a_server_error_and_every_answer_is_as_described(office: Office, who, mode):
    document = (await office.r.client.get(OPENAPI)).json()
    headers = {"Authorization": f"Bearer {office.keys[who]['x-api-key']}"}
    work = functools.partial(asked_by_the_hundred, document, office.r.url, headers, MODES[mode])
    done = await anyio.to_thread.run_sync(work)
    assert len(done) == sum(len(operations) for operations in document["paths"].values()) > 10
