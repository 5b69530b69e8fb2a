"""Libraries for Node.js."""

from collections.abc import Callable

from router.connect.guide import Guide, Place, Snippet, program


def _node(template: str) -> Callable[[Place], Snippet]:
    return program("hello.mjs", template, "node", "hello.mjs")


_OPENAI = _node("""
import OpenAI from "openai";

export const client = new OpenAI({ baseURL: @V1@, apiKey: process.env.TURNOUT_API_KEY ?? "unused" });

const messages = [{ role: "user", content: "Say hello" }];
const answer = await client.chat.completions.create({ model: @MODEL@, messages });
console.log(answer.choices[0].message.content);
""")

_AI_SDK = _node("""
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";

const apiKey = process.env.TURNOUT_API_KEY ?? "unused";
const turnout = createOpenAICompatible({ name: "turnout", baseURL: @V1@, apiKey, includeUsage: true });
export const model = turnout(@MODEL@);

const answer = await generateText({ model, prompt: "Say hello" });
console.log(answer.text);
""")

_AI_SDK_RESPONSES = _node("""
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";

const turnout = createOpenAI({ baseURL: @V1@, apiKey: process.env.TURNOUT_API_KEY ?? "unused" });
export const model = turnout.responses(@MODEL@);

const answer = await generateText({ model, prompt: "Say hello" });
console.log(answer.text);
""")

_AI_SDK_MESSAGES = _node("""
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText } from "ai";

const turnout = createAnthropic({ baseURL: @V1@, apiKey: process.env.TURNOUT_API_KEY ?? "unused" });
export const model = turnout(@MODEL@);

const answer = await generateText({ model, prompt: "Say hello" });
console.log(answer.text);
""")

_LANGCHAIN = _node("""
import { ChatOpenAI } from "@langchain/openai";

const apiKey = process.env.TURNOUT_API_KEY ?? "unused";
export const model = new ChatOpenAI({ model: @MODEL@, apiKey, configuration: { baseURL: @V1@ } });

const answer = await model.invoke("Say hello");
console.log(answer.content);
""")

GUIDES = (
    Guide("openai-node", "OpenAI SDK for Node.js", "/v1/chat/completions", "npm install openai", _OPENAI),
    Guide("ai-sdk", "Vercel AI SDK", "/v1/chat/completions", "npm install ai @ai-sdk/openai-compatible", _AI_SDK),
    Guide(
        "ai-sdk-responses",
        "Vercel AI SDK, Responses",
        "/v1/responses",
        "npm install ai @ai-sdk/openai",
        _AI_SDK_RESPONSES,
    ),
    Guide(
        "ai-sdk-messages",
        "Vercel AI SDK, Messages",
        "/v1/messages",
        "npm install ai @ai-sdk/anthropic",
        _AI_SDK_MESSAGES,
    ),
    Guide("langchain-js", "LangChain for Node.js", "/v1/chat/completions", "npm install @langchain/openai", _LANGCHAIN),
)
