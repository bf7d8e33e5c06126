// What stands above a network: search, undo, two hypotheses, and what is observed with its probability.
import { badge, button, digits, element, fill, marked, numeric } from "./base.js";
import { evidenceWords } from "./cards.js";
import { shortBelief } from "./panels.js";

const FOUND = 60; // names that a search lists

/** Finds a variable by a part of its name. */
export class Search {
  constructor(beliefs, go) {
    Object.assign(this, { beliefs, go });
    this.input = element("input", { type: "search", placeholder: "search  ( / )", "aria-label": "search a variable" });
    this.results = element("ul", { class: "te-results", hidden: true });
    this.root = element("span", { class: "te-search", role: "search" }, this.input, this.results);
    this.input.addEventListener("input", () => this.searched());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focusout", (event) => this.root.contains(event.relatedTarget) || this.end());
  }

  key(event) {
    const all = [...this.results.querySelectorAll("button")];
    const i = all.indexOf(event.target);
    const next = { ArrowDown: i + 1, ArrowUp: i - 1 }[event.key];
    if (event.key === "Escape") this.end();
    else if (event.key === "Enter" && i < 0) all[0]?.click();
    else if (next !== undefined) (all[next] ?? (next < 0 ? this.input : event.target)).focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  searched() {
    const asked = this.input.value.trim().toLowerCase();
    const all = this.beliefs.model.variables;
    const found = [];
    for (let v = 0; v < all.length && found.length < FOUND; v += 1) if (all[v].name.toLowerCase().includes(asked)) found.push(v);
    const line = (v) => {
      const go = () => { this.end(); this.go(v); };
      const what = [element("b", { text: this.beliefs.label(v) }), element("span", { text: shortBelief(this.beliefs, v) })];
      return element("li", {}, element("button", { type: "button", on: { click: go } }, ...what));
    };
    this.results.hidden = !asked;
    const none = element("li", { class: "te-hint", text: "no such variable" });
    fill(this.results, asked ? (found.length ? found.map(line) : [none]) : []);
  }

  end() {
    this.input.value = "";
    this.searched();
  }
}

/** Buttons for two hypotheses. */
export class Comparison {
  constructor(beliefs) {
    this.beliefs = beliefs;
    this.button = button("compare two", () => beliefs.compare(), { "aria-pressed": "false" });
    this.tabs = element("span", { class: "te-tabs", role: "group", "aria-label": "hypotheses" });
    this.root = element("span", { class: "te-group" }, this.button, this.tabs);
  }

  update() {
    const { beliefs } = this;
    this.button.textContent = beliefs.comparing ? "end comparing" : "compare two";
    this.button.setAttribute("aria-pressed", String(beliefs.comparing));
    const tab = (own, i) =>
      button(own.name, () => beliefs.choose(i), { "aria-pressed": String(i === beliefs.active), class: `te-tab te-tab-${"ab"[i]}`, "aria-label": `clicks set the evidence of hypothesis ${own.name}` });
    const [here, there] = [beliefs.current.name, beliefs.comparing && beliefs.hypotheses[1 - beliefs.active].name];
    const focus = [...this.tabs.children].indexOf(document.activeElement);
    fill(this.tabs, beliefs.comparing ? [
      ...beliefs.hypotheses.map(tab),
      button("swap", () => beliefs.swap(), { "aria-label": "swap A and B" }),
      button(`${here} → ${there}`, () => beliefs.copy(), { "aria-label": `copy the evidence of ${here} to ${there}` }),
    ] : []);
    this.tabs.children[focus]?.focus();
  }
}

/** What is observed, each with a button that takes it back, and how probable all of it is. */
export class EvidenceStrip {
  constructor(beliefs, go) {
    Object.assign(this, { beliefs, go });
    this.chips = element("div", { class: "te-chips" });
    this.log = element("p", { class: "te-evidence", "data-log-evidence": "" });
    this.root = element("div", { class: "te-strip-line", role: "region", "aria-label": "evidence" }, this.chips, this.log);
  }

  update() {
    const focus = [...this.chips.querySelectorAll("button")].indexOf(document.activeElement);
    fill(this.chips, this.beliefs.hypotheses.map((own, i) => fill(element("div", { class: "te-chip-group" }), this.of(own, i))));
    if (focus >= 0) (this.chips.querySelectorAll("button")[focus] ?? this.chips.querySelector("button"))?.focus();
    fill(this.log, logEvidence(this.beliefs));
  }

  of(own, i) {
    const { beliefs } = this;
    const name = beliefs.comparing && element("b", { class: `te-which te-tab-${"ab"[i]}`, text: own.name });
    const chips = [...own.evidence].map(([v, value]) => {
      const soft = Array.isArray(value);
      const take = () => { beliefs.choose(i); beliefs.observe(v, null); };
      const go = button(soft ? `${beliefs.label(v)} ≈` : beliefs.label(v, value), () => this.go(v), { class: "te-chip-name", title: evidenceWords(beliefs, own, v) });
      return element("span", { class: "te-chip" }, go, button("×", take, { "aria-label": `take back ${beliefs.label(v)}` }));
    });
    return [name, ...(chips.length ? chips : [element("span", { class: "te-hint", text: "nothing observed" })])];
  }
}

/** log P of what is observed, of one hypothesis or of two with their ratio. */
function logEvidence(beliefs) {
  const told = beliefs.hypotheses.map((own, i) => {
    const name = own.found?.normalized === false ? "log Z" : "log P(evidence)";
    const which = beliefs.comparing && element("b", { class: `te-which te-tab-${"ab"[i]}`, text: own.name });
    const made = element("span", { class: beliefs.behind(own) ? "te-late" : null });
    fill(made, [which, ...(own.found ? [`${name} = `, ...marked(own.found.log_evidence)] : [`${name} …`])]);
    return made;
  });
  const [a, b] = beliefs.hypotheses.map((own) => own.found?.log_evidence);
  const apart = numeric(a?.value ?? null) - numeric(b?.value ?? null);
  if (!beliefs.comparing || !Number.isFinite(apart)) return told;
  const sure = a.kind === "exact" && b.kind === "exact" ? badge("exact") : ends(a, b);
  const title = "the Bayes factor: how many times as probable the evidence of A is as that of B";
  return [...told, element("span", { class: "te-factor", title }, `P(A) / P(B) = ${digits(Math.exp(apart), 4)} `, sure)];
}

/** Between what a ratio lies, where its logarithms are not exact. */
function ends(a, b) {
  const [low, high] = [numeric(a.lower) - numeric(b.upper), numeric(a.upper) - numeric(b.lower)].map(Math.exp);
  return badge(`between ${digits(low, 4)} and ${digits(high, 4)}`, "bound");
}
