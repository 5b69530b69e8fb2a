// The official Node SDK in front of a router: node features.mjs BASE_URL KEY CHAT_MODEL EMBEDDING_MODEL real|fake embeds|refuses
// One line of JSON for each feature: {"feature", "ok", "error"}; a feature that a real model cannot show is "skipped".

import assert from "node:assert/strict";
import OpenAI from "openai";

const [, , baseURL, apiKey, model, embeddingModel, sort, embeds] = process.argv;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const user = (content) => [{ role: "user", content }];
const hello = { model, messages: user("Say hello to Paris in one short sentence."), max_tokens: 16 };
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const question = { model, messages: user("What is the weather in Paris?"), tools: [weather] };

const features = {
  async "whole answer"() {
    const answer = await client.chat.completions.create(hello);
    assert.equal(answer.model, model);
    assert.ok(answer.choices[0].message.content);
    assert.ok(answer.usage.completion_tokens > 0);
    assert.ok(answer._request_id);
  },
  async "stream"() {
    let text = "";
    const stream = await client.chat.completions.create({ ...hello, stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    assert.ok(text);
  },
  async "usage in a stream"() {
    let usage;
    const asked = { ...hello, stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await client.chat.completions.create(asked)) usage = chunk.usage ?? usage;
    assert.ok(usage.prompt_tokens > 0);
  },
  async "stream helper"() {
    const stream = client.chat.completions.stream(hello);
    const said = [];
    stream.on("content", (delta) => said.push(delta));
    const answer = await stream.finalChatCompletion();
    assert.equal(said.join(""), answer.choices[0].message.content);
  },
  async "tool call, fake only"() {
    const answer = await client.chat.completions.create(question);
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  },
  async "tool call streamed, fake only"() {
    const answer = await client.chat.completions.stream(question).finalChatCompletion();
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  },
  async "tools run by the SDK, fake only"() {
    const asked = [];
    const runnable = {
      type: "function",
      function: {
        ...weather.function,
        parse: JSON.parse,
        function: ({ city }) => {
          asked.push(city);
          return "12 degrees";
        },
      },
    };
    const runner = client.chat.completions.runTools({ ...question, tools: [runnable] });
    assert.ok(await runner.finalContent());
    assert.deepEqual(asked, ["Paris"]);
  },
  async "JSON schema"() {
    const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] };
    const format = { type: "json_schema", json_schema: { name: "answer", schema } };
    const answer = await client.chat.completions.create({ ...hello, max_tokens: 40, response_format: format });
    assert.ok(answer.choices[0].message.content);
  },
  async "embeddings"() {
    const asking = client.embeddings.create({ model: embeddingModel, input: ["a cat", "tax law"] });
    if (embeds === "refuses") {
      const refused = (error) => error instanceof OpenAI.BadRequestError && error.code === "unsupported_parameter";
      return assert.rejects(asking, refused);
    }
    const answer = await asking;
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.every((number) => typeof number === "number"));
    const asked = { model: embeddingModel, input: "a cat", encoding_format: "float" };
    const floats = (await client.embeddings.create(asked)).data[0].embedding;
    floats.forEach((number, at) => assert.ok(Math.abs(number - answer.data[0].embedding[at]) < 1e-2));
  },
  async "models"() {
    const ids = [];
    for await (const listed of client.models.list()) ids.push(listed.id);
    assert.ok(ids.includes(model));
    assert.equal((await client.models.retrieve(model)).id, model);
  },
  async "unknown model"() {
    const asked = client.chat.completions.create({ ...hello, model: "nobody-has-this" });
    await assert.rejects(asked, (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  },
  async "bad request"() {
    const asked = client.chat.completions.create({ ...hello, temperature: "warm" });
    await assert.rejects(asked, (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature");
  },
  async "wrong key"() {
    const wrong = new OpenAI({ baseURL, apiKey: "a-wrong-key", maxRetries: 0 });
    await assert.rejects(wrong.models.list(), (error) => error instanceof OpenAI.AuthenticationError);
  },
  async "raw response"() {
    const { data, response } = await client.chat.completions.create(hello).withResponse();
    assert.ok(response.headers.get("x-turnout-backend"));
    assert.ok(data.choices[0].message.content);
  },
  async "leaving a stream"() {
    const stream = await client.chat.completions.create({ ...hello, stream: true });
    for await (const _ of stream) break;
    assert.ok(stream.controller.signal.aborted);
  },
};

for (const [feature, run] of Object.entries(features)) {
  let error = null;
  const skipped = sort === "real" && feature.endsWith("fake only");
  try {
    if (!skipped) await run();
  } catch (caught) {
    error = String(caught?.stack ?? caught);
  }
  console.log(JSON.stringify({ feature: feature.replace(", fake only", ""), ok: error === null, skipped, error }));
}
