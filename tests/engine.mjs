// Runs the engine of a page for tests: a line of JSON in, {network, description, messages, ...}, a line of replies out.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, library] = process.argv.slice(2);
const from = (name) => import(pathToFileURL(`${folder}/${name}.js`).href);
const { networkOf, networkVerbs } = await from("engine");
const { kernelsOf } = await from("kernels");
const module = new WebAssembly.Module(readFileSync(library));

/** Makes the next instance with nearly no memory left to take. */
function fillNext() {
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function (...given) {
    WebAssembly.Instance = Instance;
    const made = new Instance(...given);
    made.exports.memory.grow(65536 - made.exports.memory.buffer.byteLength / 65536 - 16);
    return made;
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { network, description, messages, full, times } = JSON.parse(line);
  const kernels = network && kernelsOf(module, networkOf(network));
  const ask = networkVerbs(description, async (question) => kernels.ask(question));
  if (full) fillNext();
  const replies = [];
  for (const message of messages) {
    let best = Infinity;
    for (let i = 0; i < (times ?? 1); i++) {
      const start = performance.now();
      for await (const reply of ask(message)) if (!i) replies.push(reply);
      best = Math.min(best, performance.now() - start);
    }
    if (times) replies.at(-1).best = best / 1000;
  }
  console.log(JSON.stringify(replies));
}
