// Ollama's official JavaScript client in front of a router: node ollama.mjs URL KEY CHAT_MODEL EMBEDDING_MODEL real|fake embeds|refuses
// One line of JSON for each feature: {"feature", "ok", "error"}; a feature that a real model cannot show is "skipped".

import assert from "node:assert/strict";
import { Ollama } from "ollama";

const [, , host, key, model, embeddingModel, sort, embeds] = process.argv;
const client = new Ollama({ host, headers: { Authorization: `Bearer ${key}` } });
const user = (content) => [{ role: "user", content }];
const hello = { model, messages: user("Say hello to Paris in one short sentence."), options: { num_predict: 16 } };
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string", description: "its name" } }, required: ["city"] },
  },
};
const question = { model, messages: user("What is the weather in Paris?"), tools: [weather] };

async function joined(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

const features = {
  async "whole chat"() {
    const answer = await client.chat(hello);
    assert.equal(answer.model, model);
    assert.ok(answer.message.content);
    assert.ok(answer.done);
    assert.ok(answer.eval_count > 0);
  },
  async "streamed chat"() {
    const parts = await joined(await client.chat({ ...hello, stream: true }));
    assert.ok(parts.map((part) => part.message.content).join(""));
    assert.ok(parts.at(-1).done);
    assert.ok(parts.at(-1).prompt_eval_count > 0);
  },
  async "tool call, fake only"() {
    const [call] = (await client.chat(question)).message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.deepEqual(Object.keys(call.function.arguments), ["city"]);
  },
  async "tool call streamed and answered, fake only"() {
    const parts = await joined(await client.chat({ ...question, stream: true }));
    const calls = parts.flatMap((part) => part.message.tool_calls ?? []);
    assert.equal(calls.length, 1);
    const told = { role: "assistant", content: "", tool_calls: calls };
    const result = { role: "tool", content: "12 degrees", tool_name: "get_weather" };
    const answer = await client.chat({ ...question, messages: [...question.messages, told, result] });
    assert.ok(answer.message.content);
  },
  async "generate"() {
    const whole = await client.generate({ model, prompt: "Hello", options: { num_predict: 16 } });
    assert.ok(whole.response);
    const parts = await joined(await client.generate({ model, prompt: "Hello", stream: true, options: { num_predict: 16 } }));
    assert.ok(parts.map((part) => part.response).join(""));
    assert.ok(parts.at(-1).done);
  },
  async "embed"() {
    const asking = client.embed({ model: embeddingModel, input: ["a cat", "tax law"] });
    if (embeds === "refuses") return assert.rejects(asking, (error) => error.status_code === 400);
    assert.equal((await asking).embeddings.length, 2);
    const one = await client.embeddings({ model: embeddingModel, prompt: "a cat" });
    assert.ok(one.embedding.every((number) => typeof number === "number"));
  },
  async "list, show and ps"() {
    const names = (await client.list()).models.map((listed) => listed.name);
    assert.ok(names.includes(`${model}:latest`));
    const shown = await client.show({ model });
    assert.ok(shown.capabilities.includes("completion"));
    assert.ok(Array.isArray((await client.ps()).models));
  },
  async "load and unload"() {
    const loaded = await client.chat({ model, messages: [], keep_alive: "5m" });
    assert.equal(loaded.done_reason, "load");
  },
  async "unknown model"() {
    const asked = client.chat({ ...hello, model: "nobody-has-this" });
    await assert.rejects(asked, (error) => error.status_code === 404 && error.message.includes("nobody-has-this"));
  },
  async "wrong key"() {
    const wrong = new Ollama({ host, headers: { Authorization: "Bearer wrong" } });
    await assert.rejects(wrong.list(), (error) => error.status_code === 401);
  },
  async "leaving a stream"() {
    const stream = await client.chat({ ...hello, stream: true });
    const reading = (async () => {
      for await (const _ of stream) stream.abort();
    })();
    await reading.catch((error) => assert.equal(error.name, "AbortError"));
  },
};

for (const [feature, run] of Object.entries(features)) {
  let error = null;
  const skipped = sort === "real" && feature.endsWith("fake only");
  try {
    if (!skipped) await run();
  } catch (caught) {
    error = String(caught?.message ?? caught);
  }
  console.log(JSON.stringify({ feature, ok: error === null, error, skipped }));
}
