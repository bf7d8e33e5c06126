// The page of a network: graph, panels, keys. Hooks for those who drive it: data-variable on cards, data-state and
// data-belief (data-belief-b) on rows, data-busy on the root, data-price, data-log-evidence, role=alert.
import { Beliefs } from "./beliefs.js";
import { button, element, later, lastReply, took } from "./base.js";
import { Card } from "./cards.js";
import { Ground, READABLE } from "./lines.js";
import { BestPanel, LadderPanel, VariablePanel, evidenceLine, shortBelief } from "./panels.js";
import { Viewport } from "./viewport.js";

const RESTED = 120; // milliseconds on a card until the path to it is asked for
const FOUND = 200; // names that a search lists

const KEYS = [
  ["arrows", "from state to state, from card to card"],
  ["Enter, Space", "observe the state, or take it back"],
  ["Delete", "take back what is observed of the variable"],
  ["s", "select the variable; then moving to another shows what connects them"],
  ["/", "search a variable"],
  ["+ − 0", "closer, away, all of it"],
  ["Ctrl+Z", "undo"],
  ["drag along a bar", "soft evidence"],
];

/** The page of a network inside of an element. */
export class NetworkPage {
  constructor(root, host) {
    this.root = root;
    this.beliefs = new Beliefs(host);
    Object.assign(root, { store: this.beliefs, page: this });
    const { model } = host;
    this.cards = new Map();
    this.at = { v: 0, s: 0 };
    this.build(model);
    this.beliefs.on((what, more) => this.heard(what, more));
    if (model.layout) this.graph(model);
    else this.listAll();
    this.panel.build();
    this.beliefs.refresh(this.beliefs.current);
  }

  build(model) {
    this.search = element("input", { type: "search", placeholder: "search a variable  ( / )", "aria-label": "search a variable" });
    this.results = element("ul", { class: "te-results", hidden: true });
    this.compare = button("compare two", () => this.beliefs.compare(), { "aria-pressed": "false" });
    this.tabs = element("span", { class: "te-tabs" });
    this.ground = element("div", { class: "te-ground", tabindex: "-1" });
    this.panel = new VariablePanel(this.beliefs, (v) => this.go(v));
    this.ladder = new LadderPanel(this.beliefs);
    this.best = new BestPanel(this.beliefs);
    this.alert = element("div", { class: "te-alert", role: "alert" });
    this.evidence = element("p", { class: "te-evidence", "data-log-evidence": "" });
    this.price = element("p", { class: "te-price", "data-price": "" });
    this.said = element("p", { class: "te-said", "aria-live": "polite" });
    this.help = element("dialog", { class: "te-help", "aria-label": "keys" });
    const keys = KEYS.map(([key, does]) => element("tr", {}, element("th", { text: key }), element("td", { text: does })));
    this.help.append(element("table", {}, ...keys), button("close", () => this.help.close()));
    const zoom = [
      button("−", () => this.view?.zoom(1 / 1.3), { "aria-label": "away" }),
      button("+", () => this.view?.zoom(1.3), { "aria-label": "closer" }),
      button("all", () => this.view?.fit(), { "aria-label": "all of the graph" }),
    ];
    this.root.append(
      element(
        "header",
        { class: "te-top" },
        element("h1", { text: model.name || model.kind, title: `${model.kind}, ${model.variables.length} variables` }),
        element("span", { class: "te-search" }, this.search, this.results),
        element("span", { class: "te-group" }, ...zoom),
        element("span", { class: "te-group" }, button("undo", () => this.beliefs.undo()), button("clear all", () => this.beliefs.clear())),
        element("span", { class: "te-group" }, this.compare, this.tabs),
        button("?", () => this.help.showModal(), { "aria-label": "keys" }),
      ),
      this.alert,
      element(
        "div",
        { class: "te-main" },
        this.ground,
        element("aside", { class: "te-side" }, this.ladder.root, this.panel.root, this.best.root),
      ),
      element("footer", { class: "te-bottom" }, this.evidence, this.price, this.said),
      this.help,
    );
    const alone = document.body.classList.contains("tractable-page"); // in a notebook other keys are not ours
    this.keys = new AbortController();
    (alone ? document : this.root).addEventListener("keydown", (event) => this.key(event), { signal: this.keys.signal });
    this.search.addEventListener("input", () => this.searched());
    this.search.addEventListener("keydown", (event) => event.key === "Escape" && this.endSearch());
  }

  graph(model) {
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.layer = element("div", { class: "te-cards", role: "application", "aria-label": `graph of ${model.variables.length} variables` });
    this.ground.append(this.canvas, this.layer);
    this.view = new Viewport(this.ground, model.layout, () => this.draw());
    this.picture = new Ground(this.canvas, this.beliefs);
    this.observer = new ResizeObserver(() => (this.seen ? this.view.changed() : this.begin()));
    this.observer.observe(this.ground);
    this.ground.addEventListener("click", (event) => this.clickedGround(event));
    this.ground.addEventListener("dblclick", (event) => this.view.zoom(1.6, this.view.at(event).screen));
    this.path = later(RESTED);
    const rest = (event) => this.rested(event.target.closest(".te-card"), event.target.closest(".te-state"));
    this.layer.addEventListener("pointerover", rest);
    this.layer.addEventListener("focusin", rest);
    const themes = matchMedia("(prefers-color-scheme: dark)");
    themes.addEventListener("change", this.view.changed);
    this.end = () => themes.removeEventListener("change", this.view.changed);
  }

  /** The first picture, when the size of the window is known. */
  begin() {
    if (!this.view.width) return;
    this.seen = true;
    this.view.fit();
    const first = this.beliefs.model.layout.boxes.reduce((best, box, v, all) => (box[1] < all[best][1] ? v : best), 0);
    this.at = { v: first, s: 0 };
  }

  /** Too many variables to be drawn: all names, by search. */
  listAll() {
    const n = this.beliefs.model.variables.length;
    this.ground.append(element("p", { class: "te-hint te-large", text: `${n} variables are too many to be drawn: search one, and go on from there.` }));
  }

  draw() {
    const { view, layer, beliefs } = this;
    this.picture.draw(view);
    layer.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    const readable = view.scale >= READABLE;
    const margin = 60;
    const shown = new Set();
    if (readable) {
      beliefs.model.layout.boxes.forEach(([x, y, w, h], v) => {
        const [left, right] = [view.x + (x - w / 2) * view.scale, view.x + (x + w / 2) * view.scale];
        const [top, bottom] = [view.y + (y - h / 2) * view.scale, view.y + (y + h / 2) * view.scale];
        if (right > -margin && left < view.width + margin && bottom > -margin && top < view.height + margin) shown.add(v);
      });
    }
    for (const [v, card] of this.cards) {
      if (shown.has(v) || card.root.contains(document.activeElement)) continue;
      card.root.remove();
      this.cards.delete(v);
    }
    const added = [];
    for (const v of shown) {
      if (this.cards.has(v)) continue;
      const card = new Card(beliefs, v);
      card.update();
      this.cards.set(v, card);
      added.push(card.root);
    }
    layer.append(...added);
    this.rove();
  }

  update() {
    for (const card of this.cards.values()) card.update();
    this.panel.update();
    this.picture && this.view.scale < READABLE && this.picture.draw(this.view);
  }

  heard(what, more) {
    this.root.setAttribute("data-busy", String(this.beliefs.busy));
    const { beliefs } = this;
    if (what === "alert") this.warn(more);
    if (what === "evidence") this.best.forget();
    if (what === "answered") this.alert.replaceChildren();
    if (what === "beliefs") this.answered(more);
    if (what === "price") this.showPrice(more);
    if (what === "selected" || what === "evidence" || what === "hypotheses") this.panel.build();
    if (what === "hypotheses") this.showTabs();
    if (["path", "selected"].includes(what)) this.view?.changed();
    if (what !== "price" && what !== "alert") this.update();
    this.ladder.update();
    this.evidence.textContent = evidenceLine(beliefs);
  }

  answered(own) {
    const n = own.evidence.size;
    const what = n ? `${n} observed` : "nothing observed";
    const how = own.found.ends ? "intervals" : "exact";
    this.said.textContent = `${what}; ${how}, in ${took(own.found.elapsed)}`;
  }

  warn({ words, retry }) {
    const again = retry && button("try again", () => { this.alert.replaceChildren(); retry(); });
    const close = button("×", () => this.alert.replaceChildren(), { "aria-label": "close" });
    this.alert.replaceChildren(element("span", { text: words }), ...(again ? [again] : []), close);
  }

  showPrice({ v, s, plan, ladder }) {
    const words = `${this.beliefs.label(v, s)}: ${plan.words}`;
    const rungs = ladder.filter((rung) => rung.seconds || rung.certificate === "exact").map((rung) => rung.words);
    this.price.textContent = rungs.length ? `${this.beliefs.label(v, s)}: ${rungs.join(", or ")}` : words;
    this.price.title = plan.why;
    this.price.setAttribute("data-price", String(v));
  }

  showTabs() {
    const { beliefs } = this;
    this.compare.textContent = beliefs.comparing ? "end comparing" : "compare two";
    this.compare.setAttribute("aria-pressed", String(beliefs.comparing));
    const tabs = beliefs.hypotheses.map((own, i) =>
      button(own.name, () => beliefs.choose(i), { "aria-pressed": String(i === beliefs.active), class: `te-tab te-tab-${"ab"[i]}`, "aria-label": `hypothesis ${own.name}` }),
    );
    this.tabs.replaceChildren(...(beliefs.comparing ? [...tabs, button("swap", () => beliefs.swap())] : []));
  }

  rested(card, state) {
    if (!card) return;
    const v = Number(card.dataset.variable);
    if (state) this.beliefs.price(v, Number(state.dataset.state));
    const { selected } = this.beliefs;
    if (selected === null || selected === v) return;
    this.path(() => this.connect(selected, v));
  }

  /** What connects two variables, given what is observed. */
  async connect(a, b) {
    const given = [...this.beliefs.current.evidence.keys()].filter((v) => v !== a && v !== b);
    const found = await lastReply(this.beliefs.host, { verb: "separation", a, b, given }).catch(() => null);
    if (!found || found.error || this.beliefs.selected !== a) return;
    this.beliefs.showPath(found.separated ? found.closed : found.path, found.separated);
    this.said.textContent = found.reason;
  }

  clickedGround(event) {
    if (event.target !== this.ground && event.target !== this.canvas && event.target !== this.layer) return;
    if (this.view.moved > 4) return;
    const v = this.picture.under(this.view.at(event));
    if (v >= 0 && this.view.scale < READABLE) this.go(v);
    else if (v < 0 && this.beliefs.selected !== null) this.beliefs.select(this.beliefs.selected);
  }

  /** To a variable: where it can be read, with the focus on it. */
  go(v, s = 0) {
    if (this.beliefs.selected !== v) this.beliefs.select(v);
    if (!this.view) return;
    this.at = { v, s };
    this.view.show(this.beliefs.model.layout.boxes[v]);
    this.draw();
    this.focus();
  }

  focus() {
    const card = this.cards.get(this.at.v);
    card?.rows[Math.min(this.at.s, card.rows.length - 1)]?.root.focus({ preventScroll: true });
  }

  /** One state alone is reached by Tab; arrows go on from there. */
  rove() {
    const own = this.cards.get(this.at.v) ?? this.cards.values().next().value;
    this.layer.tabIndex = this.cards.size ? -1 : 0;
    for (const card of this.cards.values()) {
      card.rows.forEach((row, s) => { row.root.tabIndex = card === own && s === (card.v === this.at.v ? this.at.s : 0) ? 0 : -1; });
    }
  }

  key(event) {
    const inField = event.target.matches("input");
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !inField) {
      event.preventDefault();
      this.beliefs.undo();
    } else if (event.key === "/" && !inField) {
      event.preventDefault();
      this.search.focus();
    } else if (!inField && !event.ctrlKey && !event.metaKey && !event.altKey) this.plainKey(event);
  }

  plainKey(event) {
    const zoom = { "+": 1.3, "=": 1.3, "-": 1 / 1.3 }[event.key];
    if (zoom) this.view?.zoom(zoom);
    else if (event.key === "0") this.view?.fit();
    else if (event.key === "?") this.help.showModal();
    else if (event.target === this.layer && event.key === "Enter") this.go(this.at.v);
    else if (event.target.closest(".te-card")) this.cardKey(event);
  }

  cardKey(event) {
    const v = Number(event.target.closest(".te-card").dataset.variable);
    const s = Number(event.target.dataset.state ?? 0);
    const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (steps) {
      event.preventDefault();
      this.step(v, s, steps);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (this.beliefs.current.evidence.has(v)) this.beliefs.observe(v, null);
    } else if (event.key === "s") this.beliefs.select(v);
  }

  step(v, s, [dx, dy]) {
    const rows = this.cards.get(v).rows.length;
    if (dy && s + dy >= 0 && s + dy < rows) this.at = { v, s: s + dy };
    else {
      const next = this.beside(v, dx, dy);
      if (next < 0) return;
      const last = Math.min(this.beliefs.model.variables[next].states.length, 6) - 1;
      this.at = { v: next, s: dy < 0 ? last : dy > 0 ? 0 : Math.min(s, last) };
      this.view.show(this.beliefs.model.layout.boxes[next]);
      this.draw();
    }
    this.rove();
    this.focus();
  }

  /** The nearest card in a direction. */
  beside(v, dx, dy) {
    const { boxes } = this.beliefs.model.layout;
    const [x, y] = boxes[v];
    let [best, least] = [-1, Infinity];
    boxes.forEach(([bx, by], other) => {
      const [along, across] = [(bx - x) * dx + (by - y) * dy, Math.abs((bx - x) * dy) + Math.abs((by - y) * dx)];
      const away = along + 3 * across;
      if (other !== v && along > 1 && away < least) [best, least] = [other, away];
    });
    return best;
  }

  searched() {
    const asked = this.search.value.trim().toLowerCase();
    const all = this.beliefs.model.variables;
    const found = all.map((own, v) => v).filter((v) => all[v].name.toLowerCase().includes(asked)).slice(0, FOUND);
    const line = (v) => {
      const go = () => { this.endSearch(); this.go(v); };
      return element("li", {}, button(`${this.beliefs.label(v)}  ${shortBelief(this.beliefs, v)}`, go));
    };
    this.results.replaceChildren(...(asked ? found.map(line) : []));
    this.results.hidden = !asked;
    if (asked && !found.length) this.results.replaceChildren(element("li", { class: "te-hint", text: "no such variable" }));
  }

  endSearch() {
    this.search.value = "";
    this.searched();
  }

  close() {
    this.keys.abort();
    this.observer?.disconnect();
    this.end?.();
    this.beliefs.stop();
  }
}
