// OpenAI's SDK for Node.js.

const weather = {
  name: "get_weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  parse: JSON.parse,
  function: ({ city }) => `12 degrees in ${city}`,
};
const user = (content) => [{ role: "user", content }];

export async function ask({ client, MODEL }, prompt) {
  const answer = await client.chat.completions.create({ model: MODEL, messages: user(prompt) });
  return answer.choices[0].message.content;
}

export async function* stream({ client, MODEL }, prompt) {
  const asked = { model: MODEL, messages: user(prompt), stream: true };
  for await (const chunk of await client.chat.completions.create(asked)) yield chunk.choices[0]?.delta?.content ?? "";
}

export async function tools({ client, MODEL }, prompt) {
  const asked = { model: MODEL, messages: user(prompt), tools: [{ type: "function", function: weather }], stream: true };
  return client.chat.completions.runTools(asked).finalContent();
}
