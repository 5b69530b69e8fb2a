"""Which target served a conversation last, so that what it has cached of the prompt is used again. Pure.

Kept are keyed digests, never content, and no more than a bounded number of them. A conversation is known by its first
messages, its length and its last messages, each by its ends and its length: what a lookup costs does not depend on how
long the conversation or a message is.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from secrets import token_bytes

from router.canonical.request import ImagePart, Message, TextPart
from router.routing.catalog import Target

MAX_CONVERSATIONS = 10_000
FIRST = 2
LAST = 4
LOOK_BACK = 8
"""By how many messages a conversation may grow between two requests and still be known."""
MAX_PARTS = 16
END_CHARS = 1024


class Affinity:
    """Conversations by their digests, the one that was used least lately being forgotten first."""

    def __init__(self, limit: int = MAX_CONVERSATIONS, *, key: bytes | None = None) -> None:
        self._limit = limit
        self._key = key or token_bytes(16)
        self._served: OrderedDict[int, Target] = OrderedDict()

    def __len__(self) -> int:
        return len(self._served)

    def of(self, model: str, messages: Sequence[Message]) -> tuple[int, Target | None]:
        """What to `remember` a conversation by, and the target that served its longest known prefix last.

        The last message is new, unless there are more than two: then the same may be asked again.
        """
        digests: dict[int, bytes] = {}
        count = len(messages)
        conversation = self._digest(model, messages, count, digests)
        if not self._served:
            return conversation, None
        if count > FIRST and (target := self._served.get(conversation)):
            return conversation, target
        for length in range(count - 1, max(0, count - 1 - LOOK_BACK), -1):
            if target := self._served.get(self._digest(model, messages, length, digests)):
                return conversation, target
        return conversation, None

    def remember(self, conversation: int, target: Target) -> None:
        """The target has served it."""
        self._served[conversation] = target
        self._served.move_to_end(conversation)
        if len(self._served) > self._limit:
            self._served.popitem(last=False)

    def _digest(self, model: str, messages: Sequence[Message], length: int, digests: dict[int, bytes]) -> int:
        """That of the first `length` messages; `digests` holds those of single messages."""
        named: list[bytes] = []
        for place in (*range(min(FIRST, length)), *range(max(FIRST, length - LAST), length)):
            digest = digests.get(place)
            if digest is None:
                digest = digests[place] = blake2b(_told(messages[place]), digest_size=16, key=self._key).digest()
            named.append(digest)
        return hash((model, length, *named))


def _told(message: Message) -> bytes:
    """Enough of a message to tell it from another."""
    said = [message.role, message.tool_call_id or ""]
    for part in message.parts[:MAX_PARTS]:
        if type(part) is TextPart:
            said.append(_ends(part.text))
        elif type(part) is ImagePart:
            said.append(_ends(part.data or part.url))
    for call in message.tool_calls[:MAX_PARTS]:
        said += (call.name, _ends(call.arguments))
    said.append(str(len(message.parts)))
    return "\0".join(said).encode("utf-8", "surrogatepass")


def _ends(text: str) -> str:
    if len(text) <= 2 * END_CHARS:
        return text
    return f"{text[:END_CHARS]}\0{len(text)}\0{text[-END_CHARS:]}"
