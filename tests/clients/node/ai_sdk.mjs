// The Vercel AI SDK, over whichever of its providers made the model.

import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false;

const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const get_weather = tool({
  description: "The weather of a city",
  inputSchema: jsonSchema(city),
  execute: ({ city }) => `12 degrees in ${city}`,
});

export async function ask({ model }, prompt) {
  return (await generateText({ model, prompt })).text;
}

export async function* stream({ model }, prompt) {
  let failure;
  const onError = ({ error }) => (failure = error);
  yield* streamText({ model, prompt, onError }).textStream;
  if (failure) throw failure;
}

export async function tools({ model }, prompt) {
  const asked = { model, prompt, tools: { get_weather }, stopWhen: stepCountIs(3) };
  return streamText(asked).text;
}
