// The shell of a file: a network is answered by the kernels that the page carries, others by what was asked before.
import { bytesOf, wasmHost } from "./engine.js";
import { explorer } from "./explorer.js";

const SERVED = "this page is a file, in which nothing more is worked out: `tractable view` answers";

function carriedHost({ model, replies }) {
  async function* ask(message) {
    yield replies?.[message.sequence ?? 0] ?? { error: SERVED };
  }
  return { model, ask };
}

async function opened() {
  const root = document.getElementById("explorer");
  const content = JSON.parse(document.getElementById("content").textContent);
  try {
    const { model, tables, kernels } = content;
    explorer(root, tables ? await wasmHost(model, tables, bytesOf(kernels)) : carriedHost(content));
  } catch (error) {
    root.textContent = `this page cannot be shown: ${error.message}`;
  }
}

await opened();
