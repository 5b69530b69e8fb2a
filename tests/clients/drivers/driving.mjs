// What driving.py does, for programs on Node.js: node driving.mjs DRIVER PROGRAM MODEL.
// A program exports what it has made; `ask`, `stream` and `tools` of the driver return or yield text.

import readline from "node:readline";
import { pathToFileURL } from "node:url";

const PLAYED_BY = { stream: "stream", tools: "tools", long: "ask", broken: "stream", limited: "ask" };
const [, , driverPath, programPath, MODEL] = process.argv;
const answer = process.stdout.write.bind(process.stdout);
const driver = await import(pathToFileURL(driverPath));
let made;
let runs = 0;
let said = "";

// Every time anew, as a person starts it.
async function run() {
  runs += 1;
  return { ...(await import(`${pathToFileURL(programPath)}?run=${runs}`)), MODEL };
}

async function play({ scene, prompt }) {
  if (scene === "chat") {
    await run();
    return;
  }
  made ??= await run();
  said = "";
  const told = await driver[PLAYED_BY[scene]](made, prompt);
  for await (const piece of typeof told === "string" ? [told] : told) said += piece;
}

process.stdout.write = (piece) => {
  said += piece;
  return true;
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  said = "";
  let error = null;
  try {
    await play(JSON.parse(line));
  } catch (failure) {
    error = `${failure.name}: ${failure.message}`;
  }
  answer(`${JSON.stringify({ text: said, error })}\n`);
}
