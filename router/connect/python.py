"""Libraries for Python."""

from collections.abc import Callable

from router.connect.guide import Guide, Place, Snippet, program

CHAT = "/v1/chat/completions"


def _python(template: str) -> Callable[[Place], Snippet]:
    return program("hello.py", template, "python", "hello.py")


_OPENAI = _python("""
import os

from openai import OpenAI

client = OpenAI(base_url=@V1@, api_key=os.environ.get("TURNOUT_API_KEY", "unused"))

answer = client.chat.completions.create(model=@MODEL@, messages=[{"role": "user", "content": "Say hello"}])
print(answer.choices[0].message.content)
""")

_ANTHROPIC = _python("""
import os

from anthropic import Anthropic

client = Anthropic(base_url=@URL@, api_key=os.environ.get("TURNOUT_API_KEY", "unused"))

messages = [{"role": "user", "content": "Say hello"}]
answer = client.messages.create(model=@MODEL@, max_tokens=512, messages=messages)
print(answer.content[0].text)
""")

_OLLAMA = _python("""
import os

from ollama import Client

key = os.environ.get("TURNOUT_API_KEY", "unused")
client = Client(@URL@, headers={"Authorization": f"Bearer {key}"})

answer = client.chat(@MODEL@, [{"role": "user", "content": "Say hello"}])
print(answer.message.content)
""")

_LANGCHAIN = _python("""
import os

from langchain_openai import ChatOpenAI

key = os.environ.get("TURNOUT_API_KEY", "unused")
model = ChatOpenAI(model=@MODEL@, base_url=@V1@, api_key=key)

print(model.invoke("Say hello").content)
""")

_PYDANTIC_AI = _python("""
import os

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=@V1@, api_key=os.environ.get("TURNOUT_API_KEY", "unused"))
model = OpenAIChatModel(@MODEL@, provider=provider)

print(Agent(model).run_sync("Say hello").output)
""")

GUIDES = (
    Guide("openai-python", "OpenAI SDK for Python", CHAT, "pip install openai", _OPENAI),
    Guide("anthropic-python", "Anthropic SDK for Python", "/v1/messages", "pip install anthropic", _ANTHROPIC),
    Guide("ollama-python", "Ollama for Python", "/api/chat", "pip install ollama", _OLLAMA),
    Guide("langchain-openai", "LangChain for Python", CHAT, "pip install langchain-openai", _LANGCHAIN),
    Guide("pydantic-ai", "Pydantic AI", CHAT, "pip install 'pydantic-ai-slim[openai]'", _PYDANTIC_AI),
)
