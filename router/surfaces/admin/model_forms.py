"""What people send to `/api/backends/{id}/models`."""

from typing import Annotated

from pydantic import Field

from router.settings.fields import Section

ModelName = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[!-~]+$")]


class NewPull(Section):
    """A model as its registry knows it; without `stream` the answer is the pull's record, at once."""

    model: ModelName
    stream: bool = True


class KeepForm(Section):
    """For how long a model stays loaded: seconds, or a text such as `10m`; negative is for ever."""

    keep_alive: float | Annotated[str, Field(max_length=40)] | None = None


ALL = (NewPull, KeepForm)
"""No field but these: the generated description does not know that."""
