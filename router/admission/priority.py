"""In how much of a hurry a request is. Pure.

The request's own header decides, but never raises it above what its key says; without a header the key decides, then
the alias, then how the request looks: a person waits for a chat that streams and for a completion in an editor, nobody
for many embeddings at once.
"""

from router.canonical.caller import Priority

NAMES = {priority.name.lower(): priority for priority in Priority}
MANY_INPUTS = 8


def from_header(told: str, key: Priority | None) -> Priority | None:
    """What header and key say together; raises KeyError for a word that is no class."""
    if not told:
        return key
    asked = NAMES[told.strip().lower()]
    return asked if key is None else max(asked, key)


def of_chat(*, stream: bool) -> Priority:
    """How a chat looks."""
    return Priority.INTERACTIVE if stream else Priority.NORMAL


def of_completion(*, stream: bool, infills: bool) -> Priority:
    """How a text completion looks: whoever has a gap filled sits in front of it."""
    return Priority.INTERACTIVE if infills else of_chat(stream=stream)


def of_embedding(inputs: int) -> Priority:
    """How a request for embeddings looks: one text is somebody's search, many are an import."""
    return Priority.BATCH if inputs >= MANY_INPUTS else Priority.NORMAL


def settled(caller: Priority | None, alias: Priority | None, looks: Priority) -> Priority:
    """The class in which it waits."""
    if caller is not None:
        return caller
    return looks if alias is None else alias
