"""Every adapter keeps the contract, against a fake backend of its kind."""

from functools import partial

import pytest

from adapters import discover
from tests.adapters import contract_failures
from tests.adapters.contract import CLAUSES, EMBEDDING_CLAUSES, Clause
from tests.adapters.party import EMBEDDERS, KINDS, party

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", sorted(EMBEDDERS))
@pytest.mark.parametrize("clause", EMBEDDING_CLAUSES, ids=lambda clause: clause.__name__)
async def test_every_adapter_that_embeds_keeps_its_part_of_the_contract(clause: Clause, kind):
    await clause(partial(party, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
async def test_every_adapter_keeps_the_contract(clause: Clause, kind):
    await clause(partial(party, kind))


def test_the_contract_has_a_part_about_failures():
    assert {clause.__module__ for clause in CLAUSES} >= {contract_failures.__name__}


def test_every_adapter_is_held_to_the_contract():
    assert set(discover()) == set(KINDS)
