// The shell of a notebook: messages go to the kernel, and come back with the number they were sent with.
import { explorer } from "./explorer.js";

function kernelHost(model) {
  const waiting = new Map();
  model.on("msg:custom", (content) => waiting.get(content?.id)?.(content));
  let last = 0;
  async function* ask(message, signal) {
    const id = `${(last += 1)}.${Math.random()}`; // other views of the same widget have ids of their own
    const come = [];
    let wake = () => {};
    waiting.set(id, (content) => { come.push(content); wake(); });
    signal?.addEventListener("abort", () => wake());
    model.send({ id, message });
    try {
      for (;;) {
        while (!come.length && !signal?.aborted) await new Promise((resolve) => { wake = resolve; });
        signal?.throwIfAborted();
        const { reply, done } = come.shift();
        if (done) return;
        yield reply;
      }
    } finally {
      waiting.delete(id);
    }
  }
  return { model: model.get("description"), ask };
}

export default { render: ({ model, el }) => explorer(el, kernelHost(model)) };
