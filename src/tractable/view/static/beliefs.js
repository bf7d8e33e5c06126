// What is observed and believed: hypotheses, each with its evidence; the numbers come from the host.
import { later, lastReply } from "./base.js";

const PATIENCE = 80; // milliseconds that a pointer rests before the price is asked for
const REMEMBERED = 200; // steps that can be undone

function hypothesis(name) {
  return { name, evidence: new Map(), accepted: new Map(), found: null, before: null, asking: null, late: null };
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

  label(v, s) {
    const own = this.model.variables[v];
    return s === undefined ? own.name : `${own.name} = ${own.states[s]}`;
  }

  /** Observe a state, or weights of all states; null takes it back. */
  observe(v, value) {
    this.remember();
    if (value === null) this.current.evidence.delete(v);
    else this.current.evidence.set(v, value);
    return this.refresh(this.current, { last: value === null || Array.isArray(value) ? this.label(v) : this.label(v, value) });
  }

  toggle(v, s) {
    return this.observe(v, this.current.evidence.get(v) === s ? null : s);
  }

  clear() {
    this.remember();
    this.current.evidence = new Map();
    return this.refresh(this.current, {});
  }

  remember() {
    this.history.push({ own: this.current, evidence: new Map(this.current.evidence) });
    if (this.history.length > REMEMBERED) this.history.shift();
  }

  undo() {
    const last = this.history.pop();
    if (!last || !this.hypotheses.includes(last.own)) return Promise.resolve();
    last.own.evidence = last.evidence;
    return this.refresh(last.own, {});
  }

  /** A second hypothesis that begins as the first is, or the end of it. */
  compare() {
    if (this.comparing) {
      for (const own of this.hypotheses) if (own !== this.current) own.asking?.abort();
      this.hypotheses = [{ ...this.current, name: "A" }];
      this.active = 0;
    } else {
      const { evidence, accepted, found } = this.current;
      this.hypotheses.push({ ...hypothesis("B"), evidence: new Map(evidence), accepted: new Map(accepted), found });
      this.active = 1;
    }
    this.tell("hypotheses");
  }

  swap() {
    this.hypotheses.reverse();
    this.hypotheses.forEach((own, i) => { own.name = "AB"[i]; });
    this.tell("hypotheses");
  }

  choose(i) {
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
    const asking = new AbortController();
    own.asking = asking;
    own.late = null;
    this.tell("evidence", own);
    const message = { verb: "infer", evidence: [...own.evidence], ...(seconds ? { seconds } : {}) };
    try {
      let first = true;
      for await (const reply of this.host.ask(message, asking.signal)) {
        if (asking.signal.aborted) return;
        this.take(own, reply, first, last);
        first = false;
      }
    } catch (error) {
      if (!asking.signal.aborted) {
        this.tell("alert", { words: `no answer: ${error.message}`, retry: () => this.refresh(own, { last, seconds }) });
      }
    } finally {
      if (own.asking === asking) own.asking = null;
      this.tell("busy");
    }
  }

  stop() {
    for (const own of this.hypotheses) own.asking?.abort();
  }

  take(own, reply, first, last) {
    if (reply.notice) this.tell("alert", { words: reply.notice });
    if (reply.error || reply.impossible) {
      own.evidence = new Map(own.accepted);
      const why = `${last || "this"} cannot be: together with what is observed it has probability zero`;
      this.tell("alert", { words: reply.error ?? `${why}. The last possible state stays.` });
      this.tell("evidence", own);
      return;
    }
    if (reply.too_long) {
      own.late = reply;
      this.tell("late", own);
      return;
    }
    if (first) own.before = own.found?.marginals ?? null;
    own.found = reply;
    own.accepted = new Map(own.evidence);
    if (first) this.tell("answered");
    this.tell("beliefs", own);
  }

  /** The price of observing a state as well, asked for when the pointer rests, and once. */
  price(v, s) {
    const given = [...this.current.evidence].filter(([own]) => own !== v).sort(([a], [b]) => a - b);
    const key = JSON.stringify([given, v, s]);
    this.priced = key;
    if (this.prices.has(key)) {
      this.soon.cancel();
      this.tell("price", { v, s, ...this.prices.get(key) });
      return;
    }
    const message = { verb: "plan", evidence: given, variable: v, state: s };
    this.soon(async () => {
      try {
        const found = await lastReply(this.host, message);
        if (found.error) return;
        this.prices.set(key, found);
        if (this.priced === key) this.tell("price", { v, s, ...found });
      } catch {
        // A price that does not come is not missed as an answer is: the click itself will say what is wrong.
      }
    });
  }
}
