// The kernels in C as WebAssembly, in a worker that a page can stop.

const GRACE_MILLISECONDS = 100; // for an answer that nobody waits for any more, before its worker is ended

/**
 * The kernels with the tables of a network: `ask` answers one question after the other. It uses nothing of this file, as
 * its text is the program of a worker too.
 *
 * A network is {sizes, scopes, values}: numbers of states, the variables of each table, all their entries. A question is
 * {observed: [[variable, state]…], weights: [[variable, weights]…], best: how many, seconds, entries, patience}; without
 * `seconds` it is about the price alone. An answer: {outcome: "found" | "impossible" | "declined" |
 * "memory", price, log, marginals, found: [{states, log, tied}…]}.
 */
export function kernelsOf(module, network, speed = 1) {
  const N_PRICES = 9;
  const OUTCOMES = ["found", "impossible", "unsafe", "declined"];
  // Seconds of a call, of a step, and of each unit of a price in a sweep; an answer takes three sweeps.
  const CALL = 3e-5;
  const STEP = 9e-7;
  const EACH = { flops: [0, 6e-10], traffic: [4, 6e-10], dense: [5, -4e-10], cold: [7, 1e-8] };
  const LARGE = 2 ** 28; // bytes that are given back after the answer: memory of an instance never shrinks
  const { sizes, scopes, values } = network;
  const n = sizes.length;
  const stateStarts = [0];
  for (const size of sizes) stateStarts.push(stateStarts.at(-1) + size);
  let kernels = null;
  let at = null;

  const view = (Kind, name, length) => new Kind(kernels.memory.buffer, at[name], length);

  function place(name, Kind, length, given = []) {
    const bytes = Kind.BYTES_PER_ELEMENT * (length + 1);
    at[name] = kernels.malloc(bytes);
    if (!at[name]) throw new RangeError("memory");
    view(Kind, name, length).set(given);
  }

  /** A fresh instance that holds the tables, with room for weights of every variable. */
  function open() {
    const host = { exp: Math.exp, exp2: (x) => 2 ** x, log: Math.log, log2: Math.log2, now: () => performance.now() / 1000 };
    kernels = new WebAssembly.Instance(module, { host }).exports;
    at = {};
    const starts = [0n];
    const valueStarts = [0n];
    for (const scope of scopes) {
      starts.push(starts.at(-1) + BigInt(scope.length));
      valueStarts.push(valueStarts.at(-1) + BigInt(scope.reduce((product, v) => product * sizes[v], 1)));
    }
    place("sizes", Int32Array, n, sizes);
    place("starts", BigInt64Array, starts.length + n, starts);
    place("scopes", Int32Array, Number(starts.at(-1)) + n, scopes.flat());
    place("valueStarts", BigInt64Array, starts.length + n, valueStarts);
    place("values", Float64Array, values.length + stateStarts[n], values);
    place("evidence", Int32Array, n);
    place("terms", Float64Array, 4 + N_PRICES);
    place("price", Float64Array, N_PRICES + 1);
    place("out", Float64Array, 1 + stateStarts[n]);
    place("states", Int32Array, n);
  }

  /** Adds a table over one variable for each of these; the number of tables. */
  function weighted(weights) {
    const m = scopes.length;
    const starts = view(BigInt64Array, "starts", m + n + 1);
    const valueStarts = view(BigInt64Array, "valueStarts", m + n + 1);
    const members = view(Int32Array, "scopes", Number(starts[m]) + n);
    const entries = view(Float64Array, "values", values.length + stateStarts[n]);
    [...weights].forEach(([v, own], i) => {
      members[Number(starts[m + i])] = v;
      entries.set(own, Number(valueStarts[m + i]));
      starts[m + i + 1] = starts[m + i] + 1n;
      valueStarts[m + i + 1] = valueStarts[m + i] + BigInt(own.length);
    });
    return m + weights.size;
  }

  function setTerms(question, sweeps) {
    const terms = view(Float64Array, "terms", 4 + N_PRICES).fill(0);
    terms.set([question.entries, question.seconds ?? -1, speed * CALL, speed * sweeps * STEP]);
    for (const [place, seconds] of Object.values(EACH)) terms[4 + place] = speed * sweeps * seconds;
  }

  /** One call into the kernels. */
  function call(question, observed, weights, best) {
    const m = weighted(weights);
    view(Int32Array, "evidence", n).fill(-1);
    for (const [v, state] of observed) view(Int32Array, "evidence", n)[v] = state;
    setTerms(question, best ? 6 * question.best : 3);
    const out = question.seconds === undefined ? 0 : at.out;
    const status = kernels.ask_network(n, m, at.sizes, at.starts, at.scopes, at.valueStarts, at.values, at.evidence,
      at.terms, question.patience, at.price, out, best ? at.states : 0, 0); // prettier-ignore
    const price = [...view(Float64Array, "price", N_PRICES + 1)];
    const [log, ...numbers] = status === 0 ? view(Float64Array, "out", 1 + stateStarts[n]) : [-Infinity];
    const answer = { outcome: OUTCOMES[status], price, log };
    if (status === 0) answer.marginals = sizes.map((size, v) => numbers.slice(stateStarts[v], stateStarts[v] + size));
    if (status === 0 && best) answer.states = [...view(Int32Array, "states", n)];
    return answer;
  }

  /** What is best of a part of all states, and the best there is with a state that this one has not. */
  function part(question, observed, weights, known) {
    const found = call(question, observed, weights, true);
    const { states, log } = known ?? found;
    let next = { log: -Infinity };
    (found.marginals ?? []).forEach((logs, v) =>
      logs.forEach((own, s) => {
        if (s !== states[v] && own > next.log) next = { log: own, v, s };
      }),
    );
    return { ...found, states, log, next, observed, weights };
  }

  /** The k best: the best of what differs from all that were found is in one of two halves of a part (Nilsson 1998). */
  function best(question, observed, weights) {
    const first = part(question, observed, weights);
    if (first.outcome !== "found") return first;
    const [parts, found] = [[first], [first]];
    while (found.length < question.best) {
      const split = parts.reduce((a, b) => (b.next.log > a.next.log ? b : a));
      const { v, s, log } = split.next;
      if (log === -Infinity) break;
      const own = split.weights.get(v) ?? new Array(sizes[v]).fill(1);
      const without = new Map([...split.weights, [v, own.map((weight, state) => (state === s ? 0 : weight))]]);
      const half = part(question, [...split.observed, [v, s]], split.weights);
      parts.splice(parts.indexOf(split), 1, part(question, split.observed, without, split), half);
      found.push(half);
    }
    return { ...first, found: found.map(({ states, log }) => ({ states, log })), rest: Math.max(...parts.map((p) => p.next.log)) };
  }

  /** The answer to a question; where memory ran out, or much was taken, the next one is asked of a fresh instance. */
  function ask(question) {
    try {
      if (!kernels) open();
      const weights = new Map(question.weights);
      const asked = question.best && question.seconds !== undefined ? best : call;
      const found = asked(question, question.observed, weights, Boolean(question.best));
      if (kernels.memory.buffer.byteLength > LARGE) kernels = null;
      return found;
    } catch (error) {
      const short = error instanceof RangeError || (kernels && kernels.why_trapped() < 0);
      kernels = null;
      if (!short) throw error;
      return { outcome: "memory" };
    }
  }

  /** How much slower than predicted this device is: when a browser has translated the kernels well, nothing gets faster. */
  function measured() {
    const question = { observed: [], weights: [], seconds: 1e9, entries: 1e9, patience: 0 };
    const start = performance.now();
    let [least, found, end] = [Infinity, null, start + 50];
    for (let now = start; now < Math.min(end, start + 300); ) {
      for (let i = 0; i < 4; i++) found = ask(question);
      const taken = performance.now() - now;
      now += taken;
      if (taken < 0.9 * least) end = now + 50;
      least = Math.min(least, taken);
    }
    return Math.min(Math.max(least / 4000 / found.price[N_PRICES], 0.1), 20);
  }

  return { ask, measured };
}

/** A ring of three, which costs a product of matrices: what a device is measured with. */
export function sampleNetwork(size = 64) {
  const values = Float64Array.from({ length: 3 * size * size }, (_, i) => 0.5 + (i % 7) / 14);
  return { sizes: [size, size, size], scopes: [[0, 1], [1, 2], [2, 0]], values }; // prettier-ignore
}

/** The kernels where no worker starts. */
export function nearKernels(module, network) {
  const own = kernelsOf(module, network, kernelsOf(module, sampleNetwork()).measured());
  return async (question) => own.ask(question);
}

/** The kernels in a worker, one question at a time; where nobody waits for an answer any more it is ended. */
export async function farKernels(module, network) {
  const program = `
    ${kernelsOf}
    let own = null;
    onmessage = ({ data }) => {
      if (data.module) {
        const speed = data.speed ?? kernelsOf(data.module, data.sample).measured();
        own = kernelsOf(data.module, data.network, speed);
        postMessage({ speed });
      } else postMessage(own.ask(data));
    };`;
  const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  let [worker, speed, last] = [null, undefined, Promise.resolve()];

  function told(message) {
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message || "the kernels do not start in this browser"));
      worker.postMessage(message);
    });
  }

  async function start() {
    worker = new Worker(address);
    ({ speed } = await told({ module, network, speed, sample: sampleNetwork() }));
  }

  async function run(question, signal) {
    signal?.throwIfAborted();
    if (!worker) await start();
    signal?.throwIfAborted();
    let heard;
    const left = new Promise((resolve) => {
      heard = () => setTimeout(resolve, GRACE_MILLISECONDS, null);
      signal?.addEventListener("abort", heard);
    });
    try {
      const found = await Promise.race([told(question), left]);
      if (found === null) end();
      signal?.throwIfAborted();
      return found;
    } catch (error) {
      if (!signal?.aborted) end();
      throw error;
    } finally {
      signal?.removeEventListener("abort", heard);
    }
  }

  function end() {
    worker.terminate();
    worker = null;
  }

  await start();
  return async (question, signal) => {
    const own = last.then(() => run(question, signal));
    last = own.catch(() => {});
    return own;
  };
}
