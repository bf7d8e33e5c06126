// What stands beside a network: the selected variable, what remains where exact answers take long, the most probable states.
import { button, certified, digits, element, lastReply, numeric, percent } from "./base.js";
import { StateRow } from "./cards.js";

const BEST = 3;
const LISTED = 14; // states of an assignment that are told

/** The panel of the selected variable: all its states, soft evidence, parents and children. */
export class VariablePanel {
  constructor(beliefs, go) {
    Object.assign(this, { beliefs, go });
    this.root = element("section", { class: "te-panel", "aria-label": "selected variable" });
    this.children = new Map(beliefs.model.variables.map((_, v) => [v, []]));
    beliefs.model.variables.forEach((own, v) => own.parents.forEach((p) => this.children.get(p).push(v)));
    for (const [a, b] of beliefs.model.links.filter((link) => link.length === 2)) {
      this.children.get(a).push(b);
      this.children.get(b).push(a);
    }
  }

  build() {
    const v = this.beliefs.selected;
    this.rows = [];
    if (v === null) {
      this.root.replaceChildren(element("p", { class: "te-hint", text: HINT }));
      return;
    }
    const own = this.beliefs.model.variables[v];
    this.rows = own.states.map((_, s) => new StateRow(this.beliefs, v, s));
    for (const row of this.rows) row.root.tabIndex = 0;
    this.exact = element("table", { class: "te-numbers" });
    const near = this.beliefs.model.links.length ? "neighbours" : "children";
    this.root.replaceChildren(
      element("h2", { text: own.name || "(no name)" }),
      element("div", { class: "te-rows" }, ...this.rows.map((row) => row.root)),
      this.exact,
      this.links("parents", own.parents),
      this.links(near, this.children.get(v)),
      this.soft(v, own),
    );
    this.update();
  }

  links(what, found) {
    if (!found.length) return null;
    const buttons = found.map((v) => button(this.beliefs.label(v) || "(no name)", () => this.go(v), { class: "te-link" }));
    return element("p", { class: "te-near" }, element("b", { text: `${what} ` }), ...buttons);
  }

  /** Soft evidence by numbers: how likely what was seen is, in each state. */
  soft(v, own) {
    const value = this.beliefs.current.evidence.get(v);
    const weight = (s) => (Array.isArray(value) ? value[s] : value === undefined || value === s ? 1 : 0);
    const inputs = own.states.map((state, s) =>
      element("input", { type: "range", min: 0, max: 1, step: 0.01, value: weight(s), "aria-label": `likelihood of ${state}` }),
    );
    const set = () => {
      const weights = inputs.map((input) => Number(input.value));
      if (weights.some((w) => w > 0)) this.beliefs.observe(v, weights);
    };
    for (const input of inputs) input.addEventListener("change", set);
    const lines = inputs.map((input, s) => element("label", {}, element("span", { text: own.states[s] }), input));
    const clear = button("take it back", () => this.beliefs.observe(v, null), { class: "te-link" });
    const open = Array.isArray(value);
    return element(
      "details",
      { open },
      element("summary", { text: "soft evidence" }),
      element("p", { class: "te-hint", text: "How likely is what was seen, in each state? All alike says nothing." }),
      ...lines,
      clear,
    );
  }

  update() {
    const v = this.beliefs.selected;
    if (v === null) return;
    for (const row of this.rows) row.update();
    const lines = this.beliefs.model.variables[v].states.map((state, s) => {
      const cells = this.beliefs.hypotheses.flatMap(({ found }) => {
        const p = found?.marginals?.[v]?.[s];
        const [low, high] = [found?.ends?.lower?.[v]?.[s], found?.ends?.upper?.[v]?.[s]];
        const ends = low === undefined || low === null ? "" : ` [${digits(low, 3)}, ${digits(high, 3)}]`;
        return [element("td", { text: p === undefined || p === null ? "?" : `${digits(p, 6)}${ends}` })];
      });
      return element("tr", {}, element("th", { text: state, scope: "row" }), ...cells);
    });
    this.exact.replaceChildren(...lines);
  }
}

const HINT =
  "Click a state to observe it, and again to take it back. The price is said before the click. " +
  "Click the name of a variable for its numbers; then rest on another to see what connects them.";

/** What an answer that takes long may be had for. */
export class LadderPanel {
  constructor(beliefs) {
    this.beliefs = beliefs;
    this.root = element("section", { class: "te-panel te-ladder", "aria-label": "what it would take", hidden: true });
  }

  update() {
    const own = this.beliefs.hypotheses.find((one) => one.late ?? one.found?.ladder);
    const told = own && (own.late ?? own.found);
    this.root.hidden = !own;
    if (!own) return;
    const stop = own.asking && own.found?.ends && button("stop here", () => this.beliefs.stop());
    const advice = told.plan.advice.map((v) => this.beliefs.label(v));
    this.root.replaceChildren(
      element("h2", { text: own.late ? told.plan.words : own.asking ? "The intervals get narrower." : "These are intervals." }),
      stop || "",
      ...told.ladder.map((rung) => this.rung(own, rung)),
      advice.length ? element("p", { class: "te-hint", text: `Observing ${advice.join(", ")} would make it exact at once.` }) : "",
      own.late ? button("undo", () => this.beliefs.undo()) : "",
    );
  }

  rung(own, { words, seconds, certificate, note }) {
    if (!seconds) return element("p", { class: "te-hint", text: `${words}: ${note}` });
    const chosen = () => this.beliefs.refresh(own, { seconds });
    return button(`${words} (${certificate})`, chosen, { class: "te-rung", title: note });
  }
}

/** The most probable joint states. */
export class BestPanel {
  constructor(beliefs) {
    this.beliefs = beliefs;
    this.list = element("ol", { class: "te-best" });
    this.ask = button("most probable states", () => this.find());
    this.root = element("section", { class: "te-panel", "aria-label": "most probable states" }, this.ask, this.list);
  }

  async find() {
    const { beliefs } = this;
    this.ask.disabled = true;
    try {
      const message = { verb: "most_probable", evidence: [...beliefs.current.evidence], k: BEST };
      const reply = await lastReply(beliefs.host, message);
      if (reply.error) beliefs.tell("alert", { words: reply.error });
      else if (reply.too_long) this.list.replaceChildren(element("li", { text: reply.plan.words }));
      else this.show(reply.found);
    } catch (error) {
      beliefs.tell("alert", { words: `no answer: ${error.message}` });
    } finally {
      this.ask.disabled = false;
    }
  }

  show(found) {
    const { beliefs } = this;
    const given = beliefs.current.evidence;
    const told = (one, i) => {
      const first = found[0].states;
      const differs = one.states.map((_, v) => v).filter((v) => !(given.has(v) && !Array.isArray(given.get(v))));
      const named = i ? differs.filter((v) => one.states[v] !== first[v]) : differs;
      const words = named.slice(0, LISTED).map((v) => beliefs.label(v, one.states[v]));
      if (named.length > LISTED) words.push(`${named.length - LISTED} more`);
      const head = `log p = ${certified(one.log_probability)}${one.tied ? ", and others as probable" : ""}`;
      const mark = button(i ? "as the first, but" : "show in the graph", () => beliefs.mark(beliefs.marked === one.states ? null : one.states), { class: "te-link" });
      return element("li", {}, element("b", { text: head }), " ", mark, element("div", { text: words.join(", ") }));
    };
    this.list.replaceChildren(...found.map(told));
  }

  forget() {
    this.list.replaceChildren();
    if (this.beliefs.marked) this.beliefs.mark(null);
  }
}

/** log P of what is observed, of one hypothesis or of two with their ratio. */
export function evidenceLine(beliefs) {
  const told = beliefs.hypotheses.map((own) => {
    const what = beliefs.comparing ? `${own.name}: ` : "";
    const name = own.found?.normalized === false ? "log Z" : "log P(evidence)";
    return `${what}${name} = ${certified(own.found?.log_evidence)}`;
  });
  const [a, b] = beliefs.hypotheses.map((own) => numeric(own.found?.log_evidence?.value ?? null));
  if (beliefs.comparing && Number.isFinite(a - b)) told.push(`P(A) / P(B) = ${digits(Math.exp(a - b), 4)}`);
  return told.join("  ·  ");
}

/** What a percentage says in a list. */
export function shortBelief(beliefs, v) {
  const found = beliefs.current.found?.marginals?.[v];
  if (!found) return "";
  const best = found.indexOf(Math.max(...found));
  return `${beliefs.model.variables[v].states[best]} ${percent(found[best])} %`;
}
