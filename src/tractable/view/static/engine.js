// The engine of a page that is a file: the verbs of a network, answered by the kernels.
import { farKernels, nearKernels } from "./kernels.js";
import { separationIn } from "./separation.js";

const PROMPT_SECONDS = 1; // of an answer that nobody has to ask for
const LONGEST_SECONDS = 600; // of an answer that is offered
const NO_MEMORY = "this browser has no more memory for an answer; close other pages, or observe more";
const MOST_ENTRIES = 2 ** 26; // of all tables that are held at once: half a gigabyte
const PATIENCE_SECONDS = { plan: 0.1, answer: 1 }; // of the search for a good order
const ROUNDING_OF_LOGARITHMS = 1e-12;

/** The numbers of a text in base 64. */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const TIMES_IN_WORDS = [["µs", 1000], ["ms", 1000], ["s", 60], ["min", 60], ["h", 24], ["d", 365], ["yr", Infinity]]; // prettier-ignore

/** Seconds in words. */
export function timeInWords(seconds) {
  const shown = (x) => (x >= 999.5 && x < 1e5 ? x.toFixed(0) : String(Number(x.toPrecision(3))));
  let [value, i] = [seconds * 1e6, 0];
  for (; Number(shown(value)) >= TIMES_IN_WORDS[i][1] && i < TIMES_IN_WORDS.length - 1; i++) value = Math.max(value / TIMES_IN_WORDS[i][1], 1);
  return `${shown(value)} ${TIMES_IN_WORDS[i][0]}`;
}

const plainNumber = (x) => (Number.isFinite(x) ? x : Number.isNaN(x) ? null : x > 0 ? "inf" : "-inf");

function exactly(value) {
  const own = plainNumber(value);
  return { value: own, lower: own, upper: own, kind: "exact", confidence: null, verdict: null };
}

/** What an answer costs, as a page is told it. */
function planOf({ price }, method) {
  const [flops, width, , , , , entries] = price;
  const seconds = price.at(-1);
  const wide = entries + price[8] > MOST_ENTRIES || seconds === Infinity;
  const late = `exact would take ${timeInWords(seconds)}`;
  const size = seconds === Infinity ? "no order was found in time" : `tables of 2^${Math.log2(entries).toFixed(1)} entries`;
  const big = `too wide for this page: ${size}`;
  const words = wide ? big : method ? `exact in ${timeInWords(seconds)}` : late;
  const why = `the largest table has 2^${width.toFixed(1)} entries`;
  const numbers = Object.entries({ width, flops, bytes: 8 * entries, seconds }).map(([k, x]) => [k, plainNumber(x)]);
  return { method: method && !wide ? "elimination" : null, ...Object.fromEntries(numbers), why, words, advice: [], wide };
}

/** What remains where exact answers do not come at once. */
function ladderOf(plan) {
  const rungs = [];
  if (!plan.wide && plan.seconds <= LONGEST_SECONDS)
    rungs.push({ words: `exact in ${timeInWords(plan.seconds)}`, seconds: 2 * plan.seconds, certificate: "exact", note: plan.why });
  const note = "not in a page that is a file: `tractable view` of the model's own file has them";
  return [...rungs, { words: "intervals", seconds: null, certificate: "probabilistic", note }];
}

/** Evidence of a message, checked: it becomes addresses in memory. */
function evidenceOf(given, variables) {
  const [observed, weights] = [[], []];
  for (const [v, own] of given ?? []) {
    const size = variables[v]?.states.length;
    const soft = Array.isArray(own) && own.length === size && own.every((x) => Number.isFinite(x) && x >= 0);
    if (!Number.isInteger(v) || size === undefined || !(soft || (Number.isInteger(own) && own >= 0 && own < size)))
      throw new RangeError(`no evidence: ${JSON.stringify([v, own])}`);
    if (soft) weights.push([v, own]);
    else observed.push([v, own]);
  }
  return { observed, weights };
}

/** The verbs of a network, by kernels that answer questions. */
export function networkVerbs(description, calls) {
  const variables = description.variables;
  const directed = description.kind === "BayesianNetwork";
  let whole;

  async function asked(message, more, signal) {
    const evidence = evidenceOf(message.evidence, variables);
    const question = { ...evidence, entries: MOST_ENTRIES, patience: PATIENCE_SECONDS.answer, ...more };
    const found = await calls(question, signal);
    if (found.outcome === "memory") throw new RangeError(NO_MEMORY);
    return found;
  }

  /** log Z of what is not normalized, where that is to be had. */
  async function logOfAll(signal) {
    if (directed) return 0;
    whole ??= await asked({}, { seconds: PROMPT_SECONDS }, signal);
    return whole.outcome === "found" ? whole.log : null;
  }

  const tooLong = (plan) => ({ too_long: true, plan, ladder: ladderOf(plan) });

  async function infer(message, signal) {
    const start = performance.now();
    const found = await asked(message, { seconds: message.seconds ?? PROMPT_SECONDS }, signal);
    const plan = planOf(found, found.outcome !== "declined");
    if (found.outcome === "declined") return tooLong(plan);
    const all = await logOfAll(signal);
    const told = { plan, elapsed: (performance.now() - start) / 1000, log_evidence: exactly(found.log - (all ?? 0)) };
    if (found.outcome === "impossible") return { impossible: true, ...told };
    return { impossible: false, normalized: all !== null, marginals: found.marginals.slice(0, variables.length), ...told };
  }

  /** The price where a state is observed as well. */
  async function plan(message, signal) {
    const rest = (message.evidence ?? []).filter(([v]) => v !== message.variable);
    const more = variables[message.variable] ? [[message.variable, message.state ?? 0]] : [];
    const found = await asked({ evidence: [...rest, ...more] }, { patience: PATIENCE_SECONDS.plan }, signal);
    const own = planOf(found, found.price.at(-1) <= PROMPT_SECONDS);
    return { plan: own, ladder: own.method ? [] : ladderOf(own) };
  }

  async function mostProbable(message, signal) {
    const best = Math.min(Math.max(Math.trunc(message.k ?? 1), 1), 100);
    const found = await asked(message, { best, seconds: message.seconds ?? PROMPT_SECONDS }, signal);
    const own = planOf(found, found.outcome !== "declined");
    if (found.outcome === "declined") return tooLong(own);
    if (found.outcome === "impossible") throw new RangeError("the evidence has probability zero: no state is possible");
    const logs = [...found.found.map(({ log }) => log), found.rest];
    const near = (a, b) => Math.abs(a - b) <= ROUNDING_OF_LOGARITHMS * Math.max(1, Math.abs(a));
    const told = found.found.map(({ states, log }, i) => ({
      states: states.slice(0, variables.length),
      log_probability: exactly(log),
      tied: logs.some((other, j) => j !== i && near(log, other)),
    }));
    return { found: told, plan: own };
  }

  const separation = separationIn(description);
  const verbs = { infer, plan, most_probable: mostProbable, separation };

  return async function* ask(message, signal) {
    let reply;
    try {
      if (!Object.hasOwn(verbs, message.verb)) throw new RangeError(`no verb: ${message.verb}`);
      reply = await verbs[message.verb](message, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      reply = { error: String(error.message ?? error) };
    }
    yield reply;
  };
}

/** Tables as a page carries them: numbers of states, the variables of each table, all entries as float64 in base 64. */
export function networkOf({ sizes, scopes, values }) {
  return { sizes, scopes, values: new Float64Array(bytesOf(values).buffer) };
}

/** The host of a page that is a file: its description, its tables, and the bytes of the kernels. */
export async function wasmHost(description, tables, bytes) {
  const [module, network] = [await WebAssembly.compile(bytes), networkOf(tables)];
  let calls = null;
  try {
    calls = await farKernels(module, network);
  } catch {
    calls = nearKernels(module, network);
  }
  return { model: description, ask: networkVerbs(description, calls) };
}
