"""Token ids to text, offline."""

import pytest

from router.errors import InvalidParameter
from router.usage import tokens


def test_ids_are_the_text_they_stand_for():
    assert tokens.decode(((15339, 1917), (15339,))) == ("hello world", "hello")


def test_text_beyond_ascii_comes_back_whole():
    assert tokens.decode(((30, 57668, 53901),))[0].startswith("?")


@pytest.mark.parametrize("ids", [(10**9,), (-1,), (100_300,), (2**70,)])
def test_ids_that_stand_for_nothing_are_a_mistake(ids):
    with pytest.raises(InvalidParameter) as caught:
        tokens.decode((ids,))
    assert caught.value.param == "input"


def test_too_many_ids_are_refused_before_any_work():
    with pytest.raises(InvalidParameter):
        tokens.decode(((0,) * (tokens.MAX_TOKENS + 1),))
