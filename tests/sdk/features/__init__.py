"""What a client of OpenAI's API can do, one function each."""

from collections.abc import Sequence

from tests.sdk.conformance import FEATURES, Feature


def every() -> Sequence[Feature]:
    """All features, in the order of the table."""
    from tests.sdk.features import answers, completions, embeddings, formats, inputs, parameters, tools  # noqa: F401

    order = ("Chat", "Input", "Tools", "Output formats", "Parameters", "Completions", "Embeddings", "Models")
    return sorted(FEATURES, key=lambda feature: order.index(feature.group))
