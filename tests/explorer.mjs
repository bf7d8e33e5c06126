// Checks what of the explorer needs no browser: numbers in words, and evidence that is set, undone, priced, impossible, lost.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const from = (name) => import(pathToFileURL(`${process.argv[2]}/${name}.js`).href);
const { digits, numeric, percent, sure, took } = await from("base");
const { within } = await from("cards");
const { moves } = await from("panels");
const { Beliefs } = await from("beliefs");
const rest = (ms) => new Promise((done) => { setTimeout(done, ms); });

const model = {
  variables: [
    { name: "a", states: ["no", "yes"], parents: [] },
    { name: "__proto__", states: ["0", "1"], parents: [0] },
  ],
};
const exact = (value) => ({ value, lower: value, upper: value, kind: "exact", confidence: null });

/** Answers as a model would, where both ones are impossible; counts what it was asked. */
function fakeHost() {
  const host = { model, asked: [], wait: 0, fail: false };
  host.ask = async function* ask(message, signal) {
    host.asked.push(message);
    await rest(host.wait);
    signal?.throwIfAborted();
    if (host.fail === "silently") return;
    if (host.fail) throw new Error("gone");
    const given = new Map(message.evidence);
    const p = [0, 1].map((v) => (given.has(v) ? [Number(given.get(v) === 0), Number(given.get(v) === 1)] : [0.25, 0.75]));
    if (message.verb === "plan") yield { plan: { words: "exact in 1 ms" }, ladder: [], done: true };
    else if (given.get(0) === 1 && given.get(1) === 1) yield { impossible: true, log_evidence: exact("-inf") };
    else yield { marginals: p, log_evidence: exact(-given.size), elapsed: 0.001 };
  };
  return host;
}

function page() {
  const host = fakeHost();
  const store = new Beliefs(host);
  const heard = [];
  store.on((what, more) => heard.push([what, more]));
  return { host, store, said: (what) => heard.filter(([own]) => own === what).map(([, more]) => more) };
}

const checks = {
  "numbers say what they are"() {
    assert.deepEqual([0, 1e-9, 0.4364, 0.99999, 1, null].map(percent), ["0.0", "<0.1", "43.6", ">99.9", "100.0", "?"]);
    assert.deepEqual(["-inf", "inf", null, -0.5, 1e-9].map((x) => digits(x, 3)), ["−∞", "∞", "?", "−0.5", "1.00e−9"]);
    assert.ok(Number.isNaN(numeric(null)));
    assert.deepEqual([99e-6, 990e-6, 0.0123, 3].map(took), ["99 µs", "0.99 ms", "12 ms", "3 s"]);
    assert.equal(sure({ kind: "probabilistic", confidence: 0.95 }), "probabilistic at 95 %");
    assert.deepEqual([within(0.5, 0.4999, 0.5001), within(0.5, 0.495, 0.505), within(0.5, 0.4, 0.55)], ["50.0", "50.0±0.5", "50±10"]);
  },
  "what moved most is told, but not what is observed"() {
    const found = moves([[0, 1], [0.9, 0.1], null], [[0.5, 0.5], [0.4, 0.6], null], new Map([[0, 1]]));
    assert.deepEqual(found, [{ v: 1, s: 0, most: 0.5 }]);
  },
  async "evidence is set, undone and done again; ghosts are the answer before"() {
    const { store } = page();
    await store.refresh(store.current);
    await store.toggle(0, 1);
    assert.deepEqual(store.current.found.marginals[0], [0, 1]);
    assert.deepEqual(store.current.before[0], [0.25, 0.75]);
    await store.toggle(0, 1);
    assert.equal(store.current.evidence.size, 0);
    await store.undo();
    assert.deepEqual([...store.current.evidence], [[0, 1]]);
    await store.undo();
    await store.redo();
    assert.deepEqual([...store.current.evidence], [[0, 1]]);
    await store.clear();
    await store.undo();
    assert.deepEqual([...store.current.evidence], [[0, 1]]);
  },
  async "what cannot be is said, and the last possible state stays"() {
    const { store, said } = page();
    await store.refresh(store.current);
    await store.observe(0, 1);
    await store.observe(1, 1);
    assert.match(said("alert").at(-1).words, /^__proto__ = 1 cannot be/);
    assert.deepEqual([...store.current.evidence], [[0, 1]]);
    assert.equal(store.busy, false);
    await store.undo(); // of what was possible, not of what was refused
    assert.equal(store.current.evidence.size, 0);
  },
  async "a lost connection is said, with a way to try again"() {
    const { host, store, said } = page();
    await store.refresh(store.current);
    host.fail = true;
    await store.observe(0, 1);
    assert.ok(store.behind(store.current));
    host.fail = "silently";
    await said("alert").at(-1).retry();
    assert.match(said("alert").at(-1).words, /^No answer/);
    host.fail = false;
    await said("alert").at(-1).retry();
    assert.deepEqual(store.current.found.marginals[0], [0, 1]);
    assert.ok(!store.behind(store.current));
  },
  async "stop takes back evidence that has no answer"() {
    const { host, store } = page();
    await store.refresh(store.current);
    host.wait = 30;
    const asked = store.observe(0, 1);
    store.stop();
    await asked;
    assert.deepEqual([store.busy, store.current.evidence.size], [false, 0]);
  },
  async "a click that follows another gives up the question before"() {
    const { host, store } = page();
    host.wait = 20;
    await Promise.all([store.observe(0, 1), store.observe(1, 0)]);
    assert.deepEqual(store.current.found.marginals, [[0, 1], [1, 0]]);
  },
  async "two hypotheses: each its own; copied, swapped, ended"() {
    const { store } = page();
    await store.observe(0, 1);
    store.compare();
    await store.observe(1, 0);
    assert.deepEqual(store.hypotheses.map((own) => own.evidence.size), [1, 2]);
    store.swap();
    assert.deepEqual(store.hypotheses.map((own) => [own.name, own.evidence.size]), [["A", 2], ["B", 1]]);
    store.choose(0);
    await store.copy();
    assert.deepEqual(store.hypotheses.map((own) => own.found.log_evidence.value), [-2, -2]);
    await store.undo();
    assert.equal(store.hypotheses[1].evidence.size, 1);
    store.compare();
    assert.deepEqual([store.comparing, store.current.name, store.current.evidence.size], [false, "A", 2]);
  },
  async "a price is asked for when the pointer rests, and once"() {
    const { host, store, said } = page();
    for (const s of [0, 1, 0]) store.price(1, s);
    await rest(150);
    store.price(1, 1);
    store.quiet();
    store.price(1, 0);
    assert.deepEqual(host.asked, [{ verb: "plan", evidence: [], variable: 1, state: 0 }]);
    assert.equal(said("price").filter(Boolean).length, 2);
  },
  async "beliefs follow a bar that is dragged; all of it is one step to undo"() {
    const { host, store } = page();
    await store.refresh(store.current);
    for (const w of [0.6, 0.7, 0.8]) store.drag(0, [1 - w, w]);
    await store.drop(0, [0.1, 0.9]);
    assert.deepEqual(host.asked.at(-1).evidence, [[0, [0.1, 0.9]]]);
    assert.deepEqual(store.current.before[0], [0.25, 0.75]);
    await store.undo();
    assert.equal(store.current.evidence.size, 0);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    console.error(`${name}: ${error.stack}`);
    process.exitCode = 1;
  }
}
