// What is observed and believed: hypotheses, each with its evidence; the numbers come from the host.
import { later, lastReply } from "./base.js";

const PATIENCE = 80; // milliseconds that a pointer rests before the price is asked for
const REMEMBERED = 200; // steps that can be undone
const KEPT = 3000; // prices that are remembered
const LIVELY = 0.25; // seconds: where answers take no longer, beliefs follow a bar while it is dragged

function hypothesis(name) {
  return { name, evidence: new Map(), accepted: new Map(), found: null, before: null, asking: null, late: null, pending: false, failed: false };
}

/** Evidence as text: the same for the same evidence, in whatever order it came. */
function signature(evidence) {
  return JSON.stringify([...evidence].sort(([a], [b]) => a - b));
}

const TURNING = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069]/; // what is read from right to left, or may be

/** A name as it is shown: something where it is empty, and by itself where it could turn the words around it. */
export function shownName(name) {
  if (!name.trim()) return "(no name)";
  return TURNING.test(name) ? `\u2068${name}\u2069` : name;
}

/** All that a page of a network shows; `heard` functions are told what has changed. */
export class Beliefs {
  constructor(host) {
    this.host = host;
    this.model = host.model;
    this.hypotheses = [hypothesis("A")];
    this.active = 0;
    this.selected = null;
    this.marked = null; // states of a most probable assignment that is looked at
    this.path = []; // variables of the path that is shown
    this.closed = false;
    this.history = [];
    this.undone = [];
    this.prices = new Map();
    this.listeners = new Set();
    this.soon = later(PATIENCE);
  }

  on(heard) {
    this.listeners.add(heard);
  }

  tell(what, more) {
    for (const heard of this.listeners) heard(what, more);
  }

  get current() {
    return this.hypotheses[this.active];
  }

  get comparing() {
    return this.hypotheses.length > 1;
  }

  get busy() {
    return this.hypotheses.some((own) => own.asking);
  }

  /** Whether what is shown of a hypothesis is not yet the answer to its evidence. */
  behind(own) {
    return own.late !== null || own.failed;
  }

  label(v, s) {
    const own = this.model.variables[v];
    return s === undefined ? shownName(own.name) : `${shownName(own.name)} = ${shownName(own.states[s])}`;
  }

  /** Observe a state, or weights of all states; null takes it back. Seconds may be those of a rung of the ladder. */
  observe(v, value, seconds) {
    this.remember();
    this.put(v, value);
    return this.refresh(this.current, { last: Number.isInteger(value) ? this.label(v, value) : this.label(v), seconds });
  }

  put(v, value) {
    if (value === null) this.current.evidence.delete(v);
    else this.current.evidence.set(v, value);
  }

  toggle(v, s, seconds) {
    return this.observe(v, this.current.evidence.get(v) === s ? null : s, seconds);
  }

  /** Soft evidence while a bar or a slider moves: beliefs follow where they come fast, one question at a time. */
  drag(v, weights) {
    const own = this.current;
    if (!own.dragged) {
      this.remember();
      own.dragged = true;
      own.before = own.found?.marginals ?? null; // ghosts stay where they were when it began
    }
    this.put(v, weights);
    if (own.asking) own.moved = true;
    else if ((own.found?.elapsed ?? 1) < LIVELY) this.follow(own, v);
  }

  async follow(own, v) {
    own.moved = false;
    await this.refresh(own, { last: this.label(v) });
    if (own.moved && own.dragged) this.follow(own, v);
  }

  /** The end of a drag: its evidence stays. */
  async drop(v, weights) {
    const own = this.current;
    this.put(v, weights);
    own.moved = false;
    await this.refresh(own, { last: this.label(v) });
    own.dragged = false;
  }

  clear() {
    if (!this.current.evidence.size) return Promise.resolve();
    this.remember();
    this.current.evidence = new Map();
    return this.refresh(this.current);
  }

  remember(own = this.current) {
    this.history.push({ own, evidence: new Map(own.evidence) });
    this.undone = [];
    if (this.history.length > REMEMBERED) this.history.shift();
  }

  undo() {
    return this.step(this.history, this.undone);
  }

  redo() {
    return this.step(this.undone, this.history);
  }

  step(from, to) {
    let last = from.pop();
    while (last && !this.hypotheses.includes(last.own)) last = from.pop();
    if (!last) return Promise.resolve();
    to.push({ own: last.own, evidence: last.own.evidence });
    last.own.evidence = new Map(last.evidence);
    return this.refresh(last.own);
  }

  /** A second hypothesis that begins as the first is, or the end of it. */
  compare() {
    if (this.comparing) {
      for (const own of this.hypotheses) if (own !== this.current) own.asking?.abort();
      this.current.name = "A";
      this.hypotheses = [this.current];
      this.active = 0;
    } else {
      const { evidence, accepted, found } = this.current;
      this.hypotheses.push({ ...hypothesis("B"), evidence: new Map(evidence), accepted: new Map(accepted), found });
      this.active = 1;
    }
    this.tell("hypotheses");
  }

  /** The evidence of the hypothesis that is looked at, for the other one too. */
  copy() {
    const other = this.hypotheses[1 - this.active];
    this.remember(other);
    other.evidence = new Map(this.current.evidence);
    return this.refresh(other);
  }

  swap() {
    this.hypotheses.reverse();
    this.hypotheses.forEach((own, i) => { own.name = "AB"[i]; });
    this.tell("hypotheses");
  }

  choose(i) {
    if (i === this.active || !this.hypotheses[i]) return;
    this.active = i;
    this.tell("hypotheses");
  }

  select(v) {
    this.selected = this.selected === v ? null : v;
    Object.assign(this, { path: [], closed: false });
    this.tell("selected");
  }

  showPath(path, closed) {
    this.path = path;
    this.closed = closed;
    this.tell("path");
  }

  mark(states) {
    this.marked = states;
    this.tell("marked");
  }

  /** Ask for the beliefs of a hypothesis; what was asked before is given up. */
  async refresh(own, { last = "", seconds } = {}) {
    own.asking?.abort();
    this.quiet();
    const asking = new AbortController();
    Object.assign(own, { asking, late: null, failed: false, pending: signature(own.evidence) !== signature(own.accepted) });
    this.tell("evidence", own);
    const asked = { evidence: new Map(own.evidence), last };
    const message = { verb: "infer", evidence: [...asked.evidence], ...(seconds ? { seconds } : {}) };
    try {
      let came = 0;
      for await (const reply of this.host.ask(message, asking.signal)) {
        if (asking.signal.aborted) return;
        this.take(own, reply, asked);
        came += 1;
      }
      if (!came && !asking.signal.aborted) throw new Error("it ended before it began");
    } catch (error) {
      if (!asking.signal.aborted) this.failedWith(own, error, { last, seconds });
    } finally {
      if (own.asking === asking) own.asking = null;
      this.tell("busy");
    }
  }

  failedWith(own, error, how) {
    own.failed = true;
    const words = `No answer: ${error.message}. The beliefs shown are those of before.`;
    this.tell("alert", { words, retry: () => this.refresh(own, how) });
  }

  /** No longer wait: intervals stay as they are; evidence that has no answer yet is taken back. */
  stop() {
    for (const own of this.hypotheses.filter((one) => one.asking)) {
      own.asking.abort();
      own.asking = null;
      if (own.pending) this.takeBack(own);
    }
    this.tell("busy");
  }

  takeBack(own) {
    own.evidence = new Map(own.accepted);
    own.pending = false;
    const top = this.history.at(-1);
    if (top?.own === own && signature(top.evidence) === signature(own.evidence)) this.history.pop();
    this.tell("evidence", own);
  }

  take(own, reply, asked) {
    if (reply.notice) this.tell("alert", { words: reply.notice });
    if (reply.error || reply.impossible) this.refused(own, reply, asked);
    else if (reply.too_long) {
      own.late = reply;
      this.tell("late", own);
    } else {
      const fresh = signature(asked.evidence) !== signature(own.accepted);
      if (fresh && !own.dragged) own.before = own.found?.marginals ?? null;
      const news = fresh || !own.found || this.refusedLast;
      Object.assign(own, { found: reply, accepted: asked.evidence, pending: false });
      if (news && !reply.notice) this.tell("answered");
      this.refusedLast = false;
      this.tell("beliefs", own);
    }
  }

  refused(own, reply, { last }) {
    this.takeBack(own);
    this.refusedLast = true;
    const why = `${last || "This"} cannot be: together with what is observed it has probability zero`;
    this.tell("alert", { words: reply.error ?? `${why}. The last possible state stays.` });
  }

  /** The price of a click on a state, asked for when the pointer rests, and once. */
  price(v, s) {
    const given = [...this.current.evidence].filter(([own]) => own !== v).sort(([a], [b]) => a - b);
    const back = this.current.evidence.get(v) === s;
    const key = JSON.stringify([given, v, back ? null : s]);
    if (this.priced === key) return;
    this.quiet();
    this.priced = key;
    const told = { v, s, back };
    if (this.prices.has(key)) this.tell("price", { ...told, ...this.prices.get(key) });
    else this.soon(() => this.askPrice(key, { verb: "plan", evidence: given, ...(back ? {} : { variable: v, state: s }) }, told));
  }

  async askPrice(key, message, told) {
    this.pricing = new AbortController();
    try {
      const found = await lastReply(this.host, message, this.pricing.signal);
      if (!found || found.error) return;
      if (this.prices.size > KEPT) this.prices.clear();
      this.prices.set(key, found);
      if (this.priced === key) this.tell("price", { ...told, ...found });
    } catch {
      // A price that does not come is not missed as an answer is: the click itself will say what is wrong.
    }
  }

  /** No price is wanted any more. */
  quiet() {
    this.soon.cancel();
    this.pricing?.abort();
    if (this.priced) this.tell("price", null);
    this.priced = null;
  }
}
