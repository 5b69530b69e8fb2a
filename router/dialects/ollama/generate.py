"""Text completions as Ollama wants them."""

from typing import Any

import msgspec

from router.canonical.completion import CompletionRequest
from router.canonical.request import Profile
from router.dialects.failures import UNREADABLE
from router.dialects.ollama.request import Rendered, running
from router.errors import InvalidParameter, UnsupportedParameter, UnsupportedValue


def render_generate(
    request: CompletionRequest, model: str, profile: Profile, capabilities: frozenset[str] | None
) -> Rendered:
    """The body of `/api/generate` for the only prompt of a request; `capabilities` are the model's, None when unknown.

    A gap is filled with the model's own template. Any other prompt is sent `raw`: a template would make a question of
    it. Raises UnsupportedParameter for what Ollama cannot do.
    """
    (prompt,) = request.prompts
    if not isinstance(prompt, str):
        raise UnsupportedValue("an Ollama model takes text, not token ids", param="prompt")
    if request.suffix and capabilities is not None and "insert" not in capabilities:
        raise UnsupportedParameter(f"the model '{request.model}' fills no gaps in a text", param="suffix")
    try:
        return _rendered(request, prompt, model, profile=profile)
    except (*UNREADABLE, OverflowError):
        raise InvalidParameter("the request holds JSON that Ollama could not read") from None


def _rendered(request: CompletionRequest, prompt: str, model: str, *, profile: Profile) -> Rendered:
    dropped = list(request.unsupported)
    body: dict[str, Any] = {"model": model, "prompt": prompt, "stream": request.stream}
    body.update(running(request, profile, dropped))
    if request.suffix:
        body["suffix"] = request.suffix
    else:
        body["raw"] = True
    if request.response_format is not None and request.response_format.kind != "text":
        body["format"] = request.response_format.schema or "json"
    if body.pop("think", None) and request.extras.get("think"):
        dropped.append("think")
    return Rendered(msgspec.json.encode(body), tuple(dropped))
