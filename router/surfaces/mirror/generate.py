"""`/api/chat` and `/api/generate`."""

from functools import partial

from litestar.types import ASGIApp, Receive, Scope

from router.access.principal import Scope as Ability
from router.admission.priority import of_chat, of_completion
from router.canonical.completion import CompletionRequest
from router.canonical.request import ChatRequest
from router.dialects import ollama
from router.relay.progress import Progress
from router.routing.wanted import Wanted, wanted_by
from router.surfaces.answering import Answering
from router.surfaces.body import read_body
from router.surfaces.caller import caller_of
from router.surfaces.direct import Endpoint, whole
from router.surfaces.headers import explaining, task_named
from router.surfaces.recording import entry_of
from router.surfaces.watch import Watch
from router.usage.prompt import tokens_wanted


def chat_endpoint(answering: Answering, *, max_body_bytes: int) -> Endpoint:
    """What a chat of Ollama's clients is answered with."""

    async def chat(scope: Scope, receive: Receive) -> ASGIApp:
        entry_of(scope).operation = "chat"
        asked = ollama.parse_chat(await read_body(scope, receive, max_body_bytes))
        if isinstance(asked, ollama.Keep):
            return await _kept(asked, answering, scope, receive, encoder=ollama.Encoder(model=asked.model))
        return answering.answer(asked, _taken(asked, scope), ollama.Encoder(model=asked.model))

    return chat


def generate_endpoint(answering: Answering, *, max_body_bytes: int) -> Endpoint:
    """What a prompt of theirs is answered with."""

    async def generate(scope: Scope, receive: Receive) -> ASGIApp:
        entry = entry_of(scope)
        entry.operation = "chat"
        asked = ollama.parse_generate(await read_body(scope, receive, max_body_bytes))
        encoder = ollama.GenerateEncoder(model=asked.model)
        if isinstance(asked, ollama.Keep):
            return await _kept(asked, answering, scope, receive, encoder=encoder)
        if isinstance(asked, CompletionRequest):
            entry.operation = "completions"
        return answering.answer(asked, _taken(asked, scope), encoder)

    return generate


def _taken(asked: ChatRequest, scope: Scope) -> Wanted:
    """What to look for, once it is off what the key may use."""
    is_text = isinstance(asked, CompletionRequest)
    looks = of_completion(stream=asked.stream, infills=asked.infills) if is_text else of_chat(stream=asked.stream)
    caller = caller_of(scope, Ability.CHAT)
    entry_of(scope).takes(partial(tokens_wanted, asked))
    return wanted_by(asked, task=task_named(scope), caller=caller, looks=looks)


async def _kept(
    asked: ollama.Keep, answering: Answering, scope: Scope, receive: Receive, *, encoder: ollama.Encoder
) -> ASGIApp:
    """A model is loaded or let go in its turn, like anything else that a backend is to do."""
    progress = scope["state"]["progress"] = Progress()
    entry = entry_of(scope)
    entry.operation = "load"
    entry.goes(asked.model, progress)
    async with Watch(receive, drain=answering.drain):
        wanted = Wanted(asked.model, task=task_named(scope) or None, caller=caller_of(scope, Ability.CHAT))
        await answering.relay.keep(asked.model, asked.keep_alive, wanted, progress)
    return whole(ollama.render_kept(encoder, unloads=asked.unloads), explaining(progress))
