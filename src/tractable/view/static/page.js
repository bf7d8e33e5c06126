// The shell of a page on the loopback address: a message is posted, replies come back line by line.
import { explorer } from "./explorer.js";

async function* postedTo(address, message, signal) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(message),
    signal,
  });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function start() {
  const model = await (await fetch("model.json")).json();
  explorer(document.getElementById("explorer"), { model, ask: (message, signal) => postedTo("ask", message, signal) });
}

await start();
