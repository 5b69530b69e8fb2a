// LangChain's models of OpenAI, for Node.js.

const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = {
  type: "function",
  function: { name: "get_weather", description: "The weather of a city", parameters: city },
};

export async function ask({ model }, prompt) {
  return (await model.invoke(prompt)).content;
}

export async function* stream({ model }, prompt) {
  for await (const chunk of await model.stream(prompt)) yield chunk.content;
}

export async function tools({ model }, prompt) {
  const able = model.bindTools([weather]);
  const question = { role: "user", content: prompt };
  const said = await able.invoke([question]);
  const results = said.tool_calls.map(({ id, args }) => ({
    role: "tool",
    tool_call_id: id,
    content: `12 degrees in ${args.city}`,
  }));
  return (await able.invoke([question, said, ...results])).content;
}
