"""What only llama.cpp's server has: health, props, slots, tokens, its own model list."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.fakes.answer import Answer, sse, whole
from tests.fakes.ask import Ask, json_fields
from tests.fakes.openai_chunks import timings
from tests.fakes.persona import FakeModel, Persona
from tests.fakes.refusal import Refusal, default_refusal
from tests.fakes.reply import completion_of, text_of


def health(persona: Persona, ask: Ask) -> Answer:
    return whole({"status": "ok"})


def props(persona: Persona, ask: Ask) -> Answer:
    model = persona.models[0]
    tools = "tools" in model.capabilities
    caps = {
        "supports_object_arguments": False,
        "supports_parallel_tool_calls": tools,
        "supports_preserve_reasoning": False,
        "supports_reasoning_effort": False,
        "supports_string_content": True,
        "supports_system_role": True,
        "supports_tool_calls": tools,
        "supports_tools": tools,
        "supports_typed_content": False,
    }
    settings = {"params": {"temperature": 0.800000011920929, "top_k": 40}, "n_ctx": model.context_length}
    modalities = {"vision": "vision" in model.capabilities, "video": False, "audio": False}
    known: dict[str, Any] = {
        "default_generation_settings": settings,
        "total_slots": persona.slots,
        "model_alias": model.name,
        "model_ftype": "Q4_1",
        "model_path": f"/models/{model.name}.gguf",
        "modalities": modalities,
        "endpoint_slots": True,
        "endpoint_props": False,
        "endpoint_metrics": False,
        "chat_template": "{{ messages }}",
        "chat_template_caps": caps,
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "build_info": "b0-unknown",
        "is_sleeping": False,
    }
    return whole(known)


def slots(persona: Persona, ask: Ask) -> Answer:
    busy = persona.journal.in_flight
    if ask.query.get("fail_on_no_slot") and busy >= persona.slots:
        raise Refusal(503, "no slot available")
    size = persona.models[0].context_length
    each = [{"id": i, "n_ctx": size, "speculative": False, "is_processing": i < busy} for i in range(persona.slots)]
    return whole(each)


def tokenize(persona: Persona, ask: Ask) -> Answer:
    fields = json_fields(persona, ask)
    tokens = persona.vocabulary.encode(str(fields.get("content", "")))
    if fields.get("with_pieces"):
        return whole({"tokens": [{"id": token, "piece": persona.vocabulary.piece(token)} for token in tokens]})
    return whole({"tokens": tokens})


def detokenize(persona: Persona, ask: Ask) -> Answer:
    return whole({"content": persona.vocabulary.decode(json_fields(persona, ask).get("tokens") or [])})


def input_tokens(persona: Persona, ask: Ask) -> Answer:
    if persona.too_old_to_count:
        raise default_refusal(404, "llama_cpp")
    return whole({"input_tokens": len(_prompt(persona, ask).split()), "object": "response.input_tokens"})


def apply_template(persona: Persona, ask: Ask) -> Answer:
    return whole({"prompt": _prompt(persona, ask)})


def _prompt(persona: Persona, ask: Ask) -> str:
    messages = json_fields(persona, ask).get("messages") or []
    return " ".join(text_of(message.get("content")) for message in messages)


def completion(persona: Persona, ask: Ask) -> Answer:
    fields = json_fields(persona, ask)
    if "prompt" not in fields:
        raise Refusal(400, '"prompt" must be provided')
    return _completed(persona, ask, fields, _as_text(persona, fields["prompt"]))


def infill(persona: Persona, ask: Ask) -> Answer:
    if "insert" not in persona.models[0].capabilities:
        missing = "prefix token is missing. suffix token is missing. middle token is missing. "
        raise Refusal(501, f"Infill is not supported by this model: {missing}")
    fields = json_fields(persona, ask)
    for name in ("input_prefix", "input_suffix"):
        if name not in fields:
            raise Refusal(400, f'"{name}" is required')
    return _completed(persona, ask, fields, f"{fields['input_prefix']} {fields['input_suffix']}")


def rerank(persona: Persona, ask: Ask) -> Answer:
    if "rerank" not in persona.models[0].capabilities:
        raise Refusal(501, "This server does not support reranking. Start it with `--reranking`")
    fields = json_fields(persona, ask)
    documents = fields.get("documents")
    if not isinstance(documents, list) or not all(isinstance(document, str) for document in documents):
        raise Refusal(400, '"documents" must be a non-empty string array')
    wanted = set(fields["query"].split())
    scores = [(float(len(wanted & set(document.split()))) - 1.5, at) for at, document in enumerate(documents)]
    best = sorted(scores, key=lambda score: (-score[0], score[1]))[: fields.get("top_n", len(documents))]
    results = [{"index": at, "relevance_score": score} for score, at in best]
    count = sum(len(document.split()) for document in documents)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return whole({"model": fields.get("model", ""), "object": "list", "usage": usage, "results": results})


def _completed(persona: Persona, ask: Ask, fields: dict[str, Any], prompt: str) -> Answer:
    """As recorded from the server: pieces that say `stop: false`, and a last one that counts; no `[DONE]`."""
    reply = completion_of(persona, prompt, limit=fields.get("n_predict"))
    most = fields.get("n_probs") or 0
    last = {
        "index": 0, "content": "", "tokens": [], "id_slot": 0, "stop": True, "model": persona.models[0].name,
        "tokens_predicted": reply.completion_tokens, "tokens_evaluated": reply.prompt_tokens,
        "generation_settings": {"n_predict": fields.get("n_predict", -1)}, "prompt": prompt, "has_new_line": False,
        "truncated": False, "stop_type": "limit" if reply.finish == "length" else "eos", "stopping_word": "",
        "tokens_cached": 0, "timings": timings(reply),
    }  # fmt: skip
    if not fields.get("stream") or ask.whole:
        probabilities = {"completion_probabilities": _probabilities(reply.content, most)} if most else {}
        return whole({**last, "content": "".join(reply.content), **probabilities})
    said = [
        {
            "index": 0, "content": piece, "tokens": [1], "stop": False, "id_slot": -1, "tokens_predicted": at + 1,
            "tokens_evaluated": reply.prompt_tokens,
            **({"completion_probabilities": _probabilities([piece], most)} if most else {}),
        }
        for at, piece in enumerate(reply.content)
    ]  # fmt: skip
    return sse([*said, last], ending=1)


def _probabilities(pieces: Sequence[str], most: int) -> list[dict[str, Any]]:
    entries = [{"id": 1, "token": piece, "bytes": list(piece.encode()), "logprob": -0.25} for piece in pieces]
    return [{**entry, "top_logprobs": [entry, {**entry, "token": "?", "logprob": -1.5}][:most]} for entry in entries]


def _as_text(persona: Persona, prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else persona.vocabulary.decode(prompt)


def load(persona: Persona, ask: Ask) -> Answer:
    """A name with "broken" in it never comes to anything."""
    name = _one_of_several(persona, ask)
    if next(model.loaded for model in persona.models if model.name == name):
        raise Refusal(400, "model is already running")
    persona.coming.add(name)
    return whole({"success": True})


def unload(persona: Persona, ask: Ask) -> Answer:
    name = _one_of_several(persona, ask)
    if not next(model.loaded for model in persona.models if model.name == name):
        raise Refusal(400, "model is not running")
    persona.models = [replace(model, loaded=model.loaded and model.name != name) for model in persona.models]
    return whole({"success": True})


def _one_of_several(persona: Persona, ask: Ask) -> str:
    name = json_fields(persona, ask).get("model")
    if not persona.several or name not in {model.name for model in persona.models}:
        raise default_refusal(404, "llama_cpp")
    return str(name)


def _statuses(persona: Persona) -> list[dict[str, Any]]:
    data = []
    for model in persona.models:
        fails = "broken" in model.name and model.name in persona.coming
        value = "loaded" if model.loaded else "loading" if model.name in persona.coming and not fails else "unloaded"
        data.append(
            {**_openai(model), "status": {"value": value, **({"failed": True, "exit_code": 1} if fails else {})}}
        )
    there = {name for name in persona.coming if "broken" not in name}
    persona.models = [replace(model, loaded=model.loaded or model.name in there) for model in persona.models]
    persona.coming -= there
    return data


def models(persona: Persona, ask: Ask) -> Answer:
    if persona.several:
        return whole({"object": "list", "data": _statuses(persona)})
    listed = [_native(model) for model in persona.models[:1]]
    data = [_openai(model) for model in persona.models[:1]]
    return whole({"models": listed, "object": "list", "data": data})


def _native(model: FakeModel) -> dict[str, Any]:
    blank = {"modified_at": "", "size": "", "digest": "", "type": "model", "description": "", "tags": [""]}
    several = ["multimodal"] if "vision" in model.capabilities else []
    details = {"parent_model": "", "format": "gguf", "family": "", "families": [""]}
    described = {"capabilities": ["completion", *several], "parameters": "", "details": details}
    return {"name": model.name, "model": model.name, **blank, **described}


def _openai(model: FakeModel) -> dict[str, Any]:
    images = ["image"] if "vision" in model.capabilities else []
    meta = {
        "vocab_type": 2,
        "n_vocab": 49152,
        "n_ctx": model.context_length,
        "n_ctx_train": 2 * model.context_length,
        "n_embd": model.embedding_length,
        "n_params": 134_515_008,
        "size": model.size,
        "ftype": "Q4_1",
    }
    return {
        "id": model.name,
        "aliases": [model.name],
        "tags": [],
        "object": "model",
        "architecture": {"input_modalities": ["text", *images], "output_modalities": ["text"]},
        "created": int(time.time()),
        "owned_by": "llamacpp",
        "meta": meta,
    }
