"""Counting what an answer costs."""

from router.canonical.events import TextDelta, UsageReported
from router.usage.meter import Meter


def test_counts_are_merged_field_by_field():
    meter = Meter()
    meter.observe((UsageReported(completion=5),))
    meter.observe((TextDelta("a"), UsageReported(prompt=7)))
    assert meter.usage == UsageReported(prompt=7, completion=5)


def test_a_later_count_replaces_an_earlier_one():
    meter = Meter()
    meter.observe((UsageReported(prompt=7, completion=1),))
    meter.observe((UsageReported(completion=2),))
    assert meter.usage == UsageReported(prompt=7, completion=2)


def test_an_answer_without_counts_has_none():
    meter = Meter()
    meter.observe((TextDelta("a"),))
    assert meter.usage is None


def test_the_first_content_counts_once():
    meter = Meter()
    meter.content(2.0)
    meter.content(3.0)
    assert meter.first_content_at == 2.0
