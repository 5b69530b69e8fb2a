"""Which route answers which request, for each kind of server."""

from tests.fakes import (
    claude_routes,
    llama_routes,
    ollama_library,
    ollama_routes,
    openai_routes,
    refusal,
    responses_routes,
)
from tests.fakes.answer import Answer, text
from tests.fakes.ask import Ask, Table
from tests.fakes.persona import Flavour, Persona
from tests.fakes.refusal import Refusal

_OPENAI_ALONE: Table = {("POST", "/v1/responses"): responses_routes.respond}
_OPENAI: Table = {
    ("POST", "/v1/chat/completions"): openai_routes.chat,
    ("POST", "/v1/completions"): openai_routes.completions,
    ("POST", "/v1/embeddings"): openai_routes.embeddings,
    ("GET", "/v1/models"): openai_routes.models,
}
_OLLAMA: Table = {
    **_OPENAI,
    ("GET", "/"): ollama_library.running,
    ("GET", "/api/version"): ollama_library.version,
    ("GET", "/api/tags"): ollama_library.tags,
    ("GET", "/api/ps"): ollama_library.loaded,
    ("POST", "/api/show"): ollama_library.show,
    ("POST", "/api/pull"): ollama_library.pull,
    ("POST", "/api/copy"): ollama_library.copy,
    ("POST", "/api/create"): ollama_library.create,
    ("DELETE", "/api/delete"): ollama_library.delete,
    ("POST", "/api/chat"): ollama_routes.chat,
    ("POST", "/api/generate"): ollama_routes.generate,
    ("POST", "/api/embed"): ollama_routes.embed,
    ("POST", "/api/embeddings"): ollama_routes.embeddings,
}
_LLAMA_CPP: Table = {
    **_OPENAI,
    ("GET", "/v1/models"): llama_routes.models,
    ("GET", "/models"): llama_routes.models,
    ("GET", "/health"): llama_routes.health,
    ("GET", "/v1/health"): llama_routes.health,
    ("GET", "/props"): llama_routes.props,
    ("GET", "/slots"): llama_routes.slots,
    ("POST", "/models/load"): llama_routes.load,
    ("POST", "/models/unload"): llama_routes.unload,
    ("POST", "/tokenize"): llama_routes.tokenize,
    ("POST", "/detokenize"): llama_routes.detokenize,
    ("POST", "/v1/chat/completions/input_tokens"): llama_routes.input_tokens,
    ("POST", "/apply-template"): llama_routes.apply_template,
    ("POST", "/chat/completions"): openai_routes.chat,
    ("POST", "/completion"): llama_routes.completion,
    ("POST", "/infill"): llama_routes.infill,
    ("POST", "/v1/rerank"): llama_routes.rerank,
}
_CLAUDE: Table = {
    ("POST", "/v1/messages"): claude_routes.messages,
    ("POST", "/v1/messages/count_tokens"): claude_routes.count_tokens,
    ("GET", "/v1/models"): claude_routes.models,
}
TABLES: dict[Flavour, Table] = {
    "ollama": _OLLAMA,
    "openai": {**_OPENAI, **_OPENAI_ALONE},
    "llama_cpp": _LLAMA_CPP,
    "claude": _CLAUDE,
}

_POSTED_PROBES = (
    "/api/show",
    "/tokenize",
    "/detokenize",
    "/apply-template",
    "/v1/chat/completions/input_tokens",
    "/v1/messages/count_tokens",
)
_MANAGEMENT = ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs")


def is_probe(ask: Ask) -> bool:
    """Questions about the server, as against work for it."""
    return ask.method in ("GET", "HEAD") or ask.path in _POSTED_PROBES


def is_management(ask: Ask) -> bool:
    return ask.path.startswith(_MANAGEMENT)


def respond(persona: Persona, ask: Ask) -> Answer:
    """Raises Refusal for what the server would refuse."""
    table = TABLES[persona.flavour]
    method = "GET" if ask.method == "HEAD" else ask.method
    route = table.get((method, ask.path))
    if route is not None:
        return route(persona, ask)
    if persona.flavour == "ollama" and ask.path.startswith("/api/blobs/"):
        return ollama_library.take_blob(persona, ask) if method == "POST" else ollama_library.has_blob(persona, ask)
    one_model = method == "GET" and ask.path.startswith("/v1/models/")
    if one_model and persona.flavour == "claude":
        return claude_routes.one_model(persona, ask)
    if one_model and persona.flavour != "llama_cpp":
        return openai_routes.one_model(persona, ask)
    return _unknown(persona, ask, wrong_method=any(path == ask.path for _, path in table))


def _unknown(persona: Persona, ask: Ask, *, wrong_method: bool) -> Answer:
    if persona.flavour == "ollama":
        if wrong_method:
            return text("405 method not allowed", status=405)
        return text("404 page not found", status=404)
    if persona.flavour == "llama_cpp":
        raise refusal.default_refusal(404, "llama_cpp")
    if wrong_method:
        raise Refusal(405, f"Not allowed to {ask.method} on {ask.path}.")
    raise Refusal(404, f"Invalid URL ({ask.method} {ask.path})")
