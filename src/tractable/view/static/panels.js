// What stands beside a network: the selected variable, what changed, the ladder, the most probable states.
import { badge, button, digits, element, fill, lastReply, marked, numeric, percent } from "./base.js";
import { shownName } from "./beliefs.js";
import { StateRow, evidenceWords } from "./cards.js";

const BEST = 3;
const LISTED = 14; // states of an assignment that are told
const MOVED = 6; // variables that changed most
const LEAST_MOVED = 5e-4;

const HINT = [
  "Click a state to observe it, and again to take it back: the price is said before the click.",
  "Drag along a state for soft evidence.",
  "Click the name of a variable for its numbers; then rest on another to see what connects them.",
];

/** Lines that explain what a card shows. */
function legend() {
  const line = (kind, words) => element("p", { class: "te-legend" }, element("span", { class: `te-sample te-sample-${kind}`, "aria-hidden": "true" }, element("i")), words);
  return element("div", {}, line("full", "belief"), line("ghost", "belief before the last click"), line("band", "between these ends, where it is not exact"));
}

/** The panel of the selected variable: all its states, soft evidence, parents and children. */
export class VariablePanel {
  constructor(beliefs, go) {
    Object.assign(this, { beliefs, go, rows: [] });
    this.root = element("section", { class: "te-panel te-variable", "aria-label": "selected variable" });
    this.children = beliefs.model.variables.map(() => new Set());
    beliefs.model.variables.forEach((own, v) => own.parents.forEach((p) => this.children[p].add(v)));
    for (const [a, b] of beliefs.model.links.filter((link) => link.length === 2)) {
      this.children[a].add(b);
      this.children[b].add(a);
    }
  }

  build() {
    const v = this.beliefs.selected;
    this.rows = [];
    if (v === null) {
      fill(this.root, [...HINT.map((text) => element("p", { class: "te-hint", text })), legend()]);
      return;
    }
    const own = this.beliefs.model.variables[v];
    this.rows = own.states.map((_, s) => new StateRow(this.beliefs, v, s, true));
    for (const row of this.rows) row.root.tabIndex = 0;
    this.told = element("p", { class: "te-told" });
    const close = button("×", () => this.beliefs.select(v), { class: "te-close", "aria-label": "close" });
    fill(this.root, [
      element("div", { class: "te-title" }, element("h2", { text: own.name || "(no name)" }), close),
      this.told,
      element("div", { class: "te-rows" }, ...this.rows.map((row) => row.root)),
      this.links("parents", own.parents),
      this.links(this.beliefs.model.links.length ? "neighbours" : "children", [...this.children[v]]),
      this.soft(v, own),
    ]);
    this.update();
  }

  links(what, found) {
    if (!found.length) return null;
    const buttons = found.map((v) => button(this.beliefs.label(v), () => this.go(v), { class: "te-link" }));
    return element("p", { class: "te-near" }, element("b", { text: `${what} ` }), ...buttons);
  }

  /** Soft evidence by sliders: how likely what was seen is, in each state; beliefs follow. */
  soft(v, own) {
    const given = { type: "range", min: 0, max: 1, step: 0.01 };
    this.sliders = own.states.map((state) => element("input", { ...given, "aria-label": `likelihood of ${state}` }));
    const weights = () => this.sliders.map((slider) => Number(slider.value));
    const moved = (work) => () => weights().some((w) => w > 0) && work(weights());
    for (const slider of this.sliders) {
      slider.addEventListener("input", moved((w) => this.beliefs.drag(v, w)));
      slider.addEventListener("change", moved((w) => this.beliefs.drop(v, w)));
    }
    const lines = this.sliders.map((slider, s) => element("label", {}, element("span", { text: own.states[s] }), slider));
    this.details = element(
      "details",
      { open: Array.isArray(this.beliefs.current.evidence.get(v)) },
      element("summary", { text: "soft evidence" }),
      element("p", { class: "te-hint", text: "How likely is what was seen, in each state? All alike says nothing." }),
      ...lines,
    );
    return this.details;
  }

  update() {
    const v = this.beliefs.selected;
    if (v === null) return;
    for (const row of this.rows) row.update();
    const value = this.beliefs.current.evidence.get(v);
    const words = evidenceWords(this.beliefs, this.beliefs.current, v);
    fill(this.told, words ? [element("span", { text: words }), button("take it back", () => this.beliefs.observe(v, null), { class: "te-link" })] : []);
    this.sliders.forEach((slider, s) => {
      if (slider !== document.activeElement) slider.value = Array.isArray(value) ? value[s] : value === undefined || value === s ? 1 : 0;
    });
  }
}

/** What the last evidence changed most. */
export class ChangePanel {
  constructor(beliefs, go) {
    Object.assign(this, { beliefs, go });
    this.root = element("section", { class: "te-panel", "aria-label": "what changed most", hidden: true });
  }

  update() {
    const { found, before, evidence } = this.beliefs.current;
    const changes = found && before ? moves(found.marginals, before, evidence) : [];
    this.root.hidden = !changes.length;
    const lines = changes.map(({ v, s }) => {
      const words = [before[v][s], found.marginals[v][s]].map(percent).join(" → ");
      const name = button(this.beliefs.label(v, s), () => this.go(v, s), { class: "te-link" });
      return element("li", {}, name, element("span", { class: "te-number", text: `${words} %` }));
    });
    fill(this.root, [element("h2", { class: "te-small", text: "changed most" }), element("ul", { class: "te-moved" }, ...lines)]);
  }
}

/** Variables whose beliefs moved most, and the state of each that did. */
export function moves(now, before, evidence) {
  const found = [];
  now.forEach((own, v) => {
    if (!own || !before[v] || evidence.has(v)) return;
    let [s, most] = [0, 0];
    own.forEach((p, i) => { if (p - before[v][i] > most) [s, most] = [i, p - before[v][i]]; });
    if (most > LEAST_MOVED) found.push({ v, s, most });
  });
  return found.sort((a, b) => b.most - a.most).slice(0, MOVED);
}

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
    const rungs = told.ladder.filter((rung) => rung.seconds);
    const rest = told.ladder.filter((rung) => !rung.seconds).map(({ words, note }) => element("p", { class: "te-hint", text: `${words}: ${note}` }));
    const advice = told.plan.advice.map((v) => this.beliefs.label(v));
    fill(this.root, [
      element("h2", { text: own.late ? told.plan.words : own.pending ? "Working on it." : own.asking ? "The intervals get narrower." : "These are intervals." }),
      own.asking && own.found?.ends && button("stop here", () => this.beliefs.stop(), { class: "te-rung" }),
      ...rungs.map((rung) => this.rung(own, rung)),
      advice.length > 0 && element("p", { class: "te-hint", text: `Observing ${advice.join(", ")} would make it exact at once.` }),
      ...(rungs.length && rest.length ? [element("details", {}, element("summary", { text: "what else there is" }), ...rest)] : rest),
      own.late && own.pending && button("undo", () => this.beliefs.undo()),
    ]);
  }

  rung(own, { words, seconds, certificate, note }) {
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
      beliefs.tell("alert", { words: `No answer: ${error.message}`, retry: () => this.find() });
    } finally {
      this.ask.disabled = false;
    }
  }

  show(found) {
    const { beliefs } = this;
    const given = beliefs.current.evidence;
    const open = found[0].states.map((_, v) => v).filter((v) => !(given.has(v) && !Array.isArray(given.get(v))));
    const told = (one, i) => {
      const named = i ? open.filter((v) => one.states[v] !== found[0].states[v]) : open;
      const words = named.slice(0, LISTED).map((v) => beliefs.label(v, one.states[v]));
      if (named.length > LISTED) words.push(`${named.length - LISTED} more`);
      const show = () => this.highlight(i, one.states);
      const mark = button(i ? "as the first, but" : "show in the graph", show, { class: "te-link te-show", "aria-pressed": "false" });
      const ties = one.tied ? "; others are as probable" : "";
      return element("li", {}, element("b", {}, ...this.probability(one.log_probability)), ties, " ", mark, element("div", { text: words.join(", ") }));
    };
    this.list.replaceChildren(...found.map(told));
  }

  /** Its probability given what is observed, where both are known; the logarithm where not. */
  probability(log) {
    const { found } = this.beliefs.current;
    const share = numeric(log.value) - numeric(found?.log_evidence?.value ?? null);
    const known = this.beliefs.model.kind === "BayesianNetwork" && log.kind === "exact" && found?.log_evidence?.kind === "exact";
    return known && Number.isFinite(share) ? [`p = ${digits(Math.exp(share), 3)} `, badge("exact")] : ["log p = ", ...marked(log)];
  }

  highlight(i, states) {
    const on = this.beliefs.marked !== states;
    this.beliefs.mark(on ? states : null);
    this.list.querySelectorAll(".te-show").forEach((own, j) => own.setAttribute("aria-pressed", String(on && i === j)));
  }

  forget() {
    this.list.replaceChildren();
    if (this.beliefs.marked) this.beliefs.mark(null);
  }
}

/** The most probable state of a variable in a list, for each hypothesis. */
export function shortBelief(beliefs, v) {
  const told = beliefs.hypotheses.map(({ name, found }) => {
    const own = found?.marginals?.[v];
    if (!own) return "";
    const best = own.indexOf(Math.max(...own));
    return `${beliefs.comparing ? `${name}: ` : ""}${shownName(beliefs.model.variables[v].states[best])} ${percent(own[best])} %`;
  });
  return told.filter(Boolean).join("  ·  ");
}
