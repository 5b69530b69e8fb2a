"""Commands for a terminal that are no coding assistants."""

from router.connect.guide import KEY, File, Guide, Place, Snippet

_LLM = """
- model_id: turnout
  model_name: @MODEL@
  api_base: @V1@
  api_key_name: turnout
  supports_tools: true
  supports_schema: true
"""


def _llm(place: Place) -> Snippet:
    return Snippet(
        ("llm", "-m", "turnout", "Say hello"),
        {"OPENAI_API_KEY": KEY},
        (File("~/.config/io.datasette.llm/extra-openai-models.yaml", place.fill(_LLM).lstrip()),),
    )


def _llm_ollama(place: Place) -> Snippet:
    environment = {"OLLAMA_HOST": place.url, "OLLAMA_API_KEY": KEY}
    return Snippet(("llm", "-m", f"ollama/{place.model}", "Say hello"), environment)


GUIDES = (
    Guide("llm", "llm", "/v1/chat/completions", "pip install llm", _llm, note="`llm logs path` names the folder."),
    Guide("llm-ollama", "llm with llm-ollama", "/api/chat", "pip install llm llm-ollama", _llm_ollama),
)
