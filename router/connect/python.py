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

_INSTRUCTOR = _python("""
import os

import instructor
from openai import OpenAI
from pydantic import BaseModel

server = OpenAI(base_url=@V1@, api_key=os.environ.get("TURNOUT_API_KEY", "unused"))
client = instructor.from_openai(server)


class Greeting(BaseModel):
    text: str


messages = [{"role": "user", "content": "Say hello"}]
print(client.chat.completions.create(model=@MODEL@, messages=messages, response_model=Greeting).text)
""")

_AGENTS = _python("""
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=@V1@, api_key=os.environ.get("TURNOUT_API_KEY", "unused"))
model = OpenAIChatCompletionsModel(model=@MODEL@, openai_client=client)

print(Runner.run_sync(Agent("Greeter", model=model), "Say hello").final_output)
""")

_LITELLM = _python("""
import os

import litellm

connection = {
    "model": "openai/" + @MODEL@,
    "api_base": @V1@,
    "api_key": os.environ.get("TURNOUT_API_KEY", "unused"),
}

answer = litellm.completion(**connection, messages=[{"role": "user", "content": "Say hello"}])
print(answer.choices[0].message.content)
""")

_LLAMA_INDEX = _python("""
import os

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(
    model=@MODEL@,
    api_base=@V1@,
    api_key=os.environ.get("TURNOUT_API_KEY", "unused"),
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=32768,
)

print(llm.chat([ChatMessage(role="user", content="Say hello")]).message.content)
""")

GUIDES = (
    Guide("openai-python", "OpenAI SDK for Python", CHAT, "pip install openai", _OPENAI),
    Guide("anthropic-python", "Anthropic SDK for Python", "/v1/messages", "pip install anthropic", _ANTHROPIC),
    Guide("ollama-python", "Ollama for Python", "/api/chat", "pip install ollama", _OLLAMA),
    Guide("langchain-openai", "LangChain for Python", CHAT, "pip install langchain-openai", _LANGCHAIN),
    Guide("pydantic-ai", "Pydantic AI", CHAT, "pip install 'pydantic-ai-slim[openai]'", _PYDANTIC_AI),
    Guide("instructor", "Instructor", CHAT, "pip install instructor", _INSTRUCTOR),
    Guide("openai-agents", "OpenAI Agents SDK", CHAT, "pip install openai-agents", _AGENTS),
    Guide("litellm", "LiteLLM (the library)", CHAT, "pip install litellm", _LITELLM),
    Guide("llama-index", "LlamaIndex", CHAT, "pip install llama-index-llms-openai-like", _LLAMA_INDEX),
)
