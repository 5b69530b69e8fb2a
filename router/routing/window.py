"""How many tokens a target can hold, and whether a prompt fits. Pure."""

from dataclasses import dataclass
from enum import Enum

from router.canonical.adapter import ContextRules
from router.canonical.models import ModelInfo, canonical_name
from router.canonical.request import ChatRequest, Profile
from router.dialects.alias_options import CONTEXT_OPTION, client_options, pinned_options
from router.routing.catalog import Catalog, Target
from router.routing.health import BackendHealth

MIN_ANSWER = 16
"""A window that a prompt fills but for this much is full."""
NEAR = 0.15
"""Part of the window on both sides of its end where an estimate is not trusted, however good it is."""

TEMPLATE_TOKENS = 64
"""What templates add to a prompt by themselves."""
TOOL_TOKENS = 500
"""How they explain calling tools."""
MIN_CUT_BYTES = 2_000
FULL = 0.9
BYTES_A_TOKEN = 5.5
"""More bytes of JSON than that for each token that was read are rare."""


class Fit(Enum):
    """Whether a prompt fits; CLOSE is too near the limit for an estimate to say."""

    YES = "yes"
    CLOSE = "close"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Need:
    """What a request takes of a window, in tokens.

    The prompt is somewhere between `low` and `high`, most likely `prompt`. `answer` is the output limit of the client's
    own, within that of the alias; None where it set none.
    """

    prompt: int
    low: float
    high: float
    answer: int | None = None

    def room(self, rules: ContextRules) -> int:
        """Tokens of the window that the answer needs."""
        return self.answer if self.answer is not None and rules.holds_answer else MIN_ANSWER


def fits(need: Need, window: int, rules: ContextRules) -> Fit:
    """What an estimate says of a window."""
    room, near = need.room(rules), NEAR * window
    likely = need.prompt + room
    if need.high + room <= window and likely <= window - near:
        return Fit.YES
    return Fit.NO if need.low + room > window and likely > window + near else Fit.CLOSE


def window(profile: Profile, info: ModelInfo | None, rules: ContextRules, *, asked: int | None = None) -> int | None:
    """The tokens that a request may use, prompt and answer together; None where nobody knows.

    A server that loads a model as it is told takes the length of the client (`asked`, where it may ask) or the alias,
    up to what the model was trained for. Told nothing, it may load it with less than `info` says, never with more.
    """
    known = info.context_length if info else None
    if not rules.pins:
        return _least(profile.context_length, known)
    wanted = asked or _number(pinned_options(profile).get(CONTEXT_OPTION))
    return known if wanted is None else _least(wanted, info.trained_length if info else None)


def surely_fits(request: ChatRequest, window: int, answer: int | None, rules: ContextRules) -> bool:
    """Whether a request fits by its mere length: no vocabulary makes more tokens of a text than it has bytes.

    What a template adds around a message is shorter than the JSON around it.
    """
    room = answer if answer is not None and rules.holds_answer else MIN_ANSWER
    around = TEMPLATE_TOKENS + (TOOL_TOKENS if request.tools else 0)
    return request.size + around + room <= window and not request.has_images


def may_be_cut(
    request: ChatRequest, *, read: int | None = None, window: int | None = None, truncates: bool = False
) -> bool:
    """Whether it is worth an estimate to find out if a backend that `read` so many tokens has cut the prompt.

    Before the answer nothing is known of `read`. What is not counted by length, such as an image, is not judged.
    """
    if request.size < MIN_CUT_BYTES or request.has_images:
        return False
    if read is None:
        return True
    is_full = window is not None and (read >= FULL * window or (truncates and request.size > window))
    return is_full or read * BYTES_A_TOKEN < request.size


def refusal(need: Need, window: int) -> str:
    """What OpenAI says of a request that is too long: clients look for these words."""
    told = f"This model's maximum context length is {window} tokens. However, "
    if need.prompt >= window:
        return f"{told}your messages resulted in {need.prompt} tokens. Please reduce the length of the messages."
    answer = MIN_ANSWER if need.answer is None else need.answer
    return (
        f"{told}you requested {need.prompt + answer} tokens ({need.prompt} in the messages, {answer} in the "
        "completion). Please reduce the length of the messages or completion."
    )


def shortfall(need: Need, window: int) -> str:
    """Why a target is out of question, for people who ask about routing."""
    answer = "" if need.answer is None else f" and an answer of up to {need.answer}"
    return f"a window of {window} tokens for a prompt of about {need.prompt}{answer}"


def asked_window(request: ChatRequest, profile: Profile) -> int | None:
    """The context length that a client sets, where the alias lets it."""
    if CONTEXT_OPTION not in profile.client_options:
        return None
    return _number(client_options(request.extras).get(CONTEXT_OPTION))


def answer_limit(request: ChatRequest, profile: Profile) -> int | None:
    """How long an answer the client itself asks for; no longer than the alias lets it be."""
    asked = request.sampling.max_tokens
    if asked is None or asked < 0 or request.limit_is_formal:
        return None
    return asked if profile.max_tokens is None else min(asked, profile.max_tokens)


def model_of(health: BackendHealth, name: str, rules: ContextRules) -> ModelInfo | None:
    """What is known of a model; a server with only one may answer to any name."""
    found = health.model(name)
    if found is None and rules.any_name and len(health.models) == 1:
        return health.models[0]
    return found


class Pins:
    """What aliases say about how a model is loaded, for requests that reach it by another name.

    Without it, a request by the model's own name would make the server load it anew with its defaults.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._options: dict[tuple[str, str], dict[str, object]] = {}
        for alias in catalog.aliases.values():
            pinned = pinned_options(alias.profile)
            for target in alias.targets if pinned else ():
                known = self._options.setdefault((target.backend, canonical_name(target.model)), {})
                self._options[target.backend, canonical_name(target.model)] = {**pinned, **known}

    def completed(self, target: Target, profile: Profile) -> Profile:
        """The profile with what other aliases pin for this target and it does not."""
        pinned = self._options.get((target.backend, canonical_name(target.model))) if self._options else None
        if pinned is None:
            return profile
        missing = pinned.keys() - pinned_options(profile).keys()
        return profile.with_pinned({key: pinned[key] for key in pinned if key in missing}) if missing else profile


def _least(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return left if right is None else right
    return min(left, right)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None
