// The page of a network: evidence by clicks, priced before they are made; beliefs on cards of a graph or in a list.
import { Beliefs } from "./beliefs.js";
import { button, element, fill, later, lastReply, percent, took } from "./base.js";
import { PriceBubble } from "./bubble.js";
import { GraphView } from "./graph.js";
import { ListView } from "./list.js";
import { BestPanel, ChangePanel, LadderPanel, VariablePanel } from "./panels.js";
import { Comparison, EvidenceStrip, Search } from "./toolbar.js";

const RESTED = 120; // milliseconds on a card until the path to it is asked for
const WAITED = 350; // milliseconds until it is said that an answer is waited for

const KEYS = [
  ["arrows", "from state to state, from card to card"],
  ["Enter, Space", "observe the state, or take it back"],
  ["Delete", "take back what is observed of the variable"],
  ["s", "select the variable; then moving to another shows what connects them"],
  ["/", "search a variable"],
  ["+ − 0", "closer, away, all of it"],
  ["Ctrl+Z, Ctrl+Y", "undo, and do again"],
  ["a, b", "to hypothesis A, to B"],
  ["l", "a list in place of the graph, and back"],
  ["Tab", "from a state that takes long to the choices beside it"],
  ["Esc", "stop what takes long; close what is open"],
  ["drag along a state", "soft evidence"],
  ["drag the ground, wheel", "move; with Ctrl, or two fingers: closer, away"],
];

/** The page of a network inside of an element. */
export class NetworkPage {
  constructor(root, host) {
    this.root = root;
    this.beliefs = new Beliefs(host);
    Object.assign(root, { store: this.beliefs, page: this });
    this.go = (v, s = 0) => this.goTo(v, s);
    this.parts();
    this.build(host.model);
    this.beliefs.on((what, more) => this.heard(what, more));
    this.show(host.model.layout ? "graph" : "list");
    this.panel.build();
    this.strip.update();
    this.beliefs.refresh(this.beliefs.current);
  }

  parts() {
    const { beliefs, go } = this;
    this.search = new Search(beliefs, go);
    this.comparison = new Comparison(beliefs);
    this.strip = new EvidenceStrip(beliefs, go);
    this.panel = new VariablePanel(beliefs, go);
    this.change = new ChangePanel(beliefs, go);
    this.ladder = new LadderPanel(beliefs);
    this.best = new BestPanel(beliefs);
    this.ground = element("div", { class: "te-ground", tabindex: "-1" });
    this.stage = element("div", { class: "te-stage" }, this.ground);
    this.reason = element("p", { class: "te-reason", role: "status", hidden: true });
    this.alert = element("div", { class: "te-alert", role: "alert" });
    this.main = element("main", { class: "te-main" }, this.stage);
    this.bubble = new PriceBubble(this.main, beliefs);
    this.price = element("p", { class: "te-price", "data-price": "", "aria-live": "polite" });
    this.said = element("p", { class: "te-said", "aria-live": "polite" });
    this.working = element("p", { class: "te-working", role: "status", hidden: true }, "working on it ", button("stop", () => this.beliefs.stop()));
    this.waiting = later(WAITED);
    this.help = element("dialog", { class: "te-help", "aria-label": "keys" });
    const keys = KEYS.map(([key, does]) => element("tr", {}, element("th", { scope: "row", text: key }), element("td", { text: does })));
    this.help.append(element("h2", { text: "Keys" }), element("table", {}, ...keys), button("close", () => this.help.close()));
  }

  build(model) {
    this.listed = model.layout && button("list", () => this.show(this.shown === "graph" ? "list" : "graph"), { "aria-pressed": "false" });
    const zoom = [
      button("+", () => this.view.view?.zoom(1.3), { "aria-label": "closer" }),
      button("−", () => this.view.view?.zoom(1 / 1.3), { "aria-label": "away" }),
      button("fit", () => this.view.view?.fit(), { "aria-label": "all of the graph" }),
    ];
    this.zoom = element("div", { class: "te-zoom", role: "group", "aria-label": "closer or away" }, ...zoom);
    this.handle = button("details", () => this.sheet(), { class: "te-handle", "aria-expanded": "false" });
    this.side = element("aside", { class: "te-side" }, this.handle, this.ladder.root, this.panel.root, this.change.root, this.best.root);
    this.stage.append(this.zoom, this.reason, this.alert);
    this.main.append(this.side);
    const n = model.variables.length;
    const header = element("header", { class: "te-top" },
      element("h1", { text: model.name || model.kind, title: model.name }),
      element("span", { class: "te-hint te-kind", text: `${model.kind}, ${n.toLocaleString("en")} variable${n === 1 ? "" : "s"}` }),
      this.search.root,
      element("span", { class: "te-group" }, button("undo", () => this.beliefs.undo(), { title: "Ctrl+Z" }), button("clear all", () => this.beliefs.clear())),
      this.comparison.root,
      element("span", { class: "te-group te-last" }, this.listed, button("?", () => this.help.showModal(), { "aria-label": "keys" })),
    );
    this.root.append(
      header,
      this.strip.root,
      this.main,
      element("footer", { class: "te-bottom" }, this.price, this.said, this.working),
      this.help,
    );
    this.listen();
  }

  listen() {
    const alone = document.body.classList.contains("tractable-page"); // in a notebook other keys are not ours
    this.ended = new AbortController();
    const { signal } = this.ended;
    (alone ? document : this.root).addEventListener("keydown", (event) => this.key(event), { signal });
    this.path = later(RESTED);
    const rest = (event) => this.rested(event);
    for (const type of ["pointerover", "focusin"]) this.root.addEventListener(type, rest, { signal });
    this.ground.addEventListener("pointerleave", () => this.bubble.leave(), { signal });
    this.themes = new MutationObserver(() => this.view.repaint?.()); // a notebook changes its theme by an attribute
    for (const own of [this.root, document.documentElement, document.body]) {
      this.themes.observe(own, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
    }
  }

  /** The graph, or the list of its variables. */
  show(what) {
    this.shown = what;
    this.view?.close();
    const n = this.beliefs.model.variables.length.toLocaleString("en");
    const note = this.listed ? "" : `${n} variables are too many to be drawn: here they are as a list.`;
    this.view = what === "graph" ? new GraphView(this.ground, this.beliefs, this.go) : new ListView(this.ground, this.beliefs, this.go, note);
    this.zoom.hidden = what === "list";
    this.listed?.setAttribute("aria-pressed", String(what === "list"));
    this.say(this.view.far ? `${n} variables: click on a place to come closer, or search one ( / ).` : "");
  }

  /** A sentence on the ground: a note, what is open, what is closed. */
  say(words, kind = "note") {
    this.reason.hidden = !words;
    this.reason.className = `te-reason te-${kind}`;
    this.reason.textContent = words;
  }

  heard(what, more) {
    this.root.setAttribute("data-busy", String(this.beliefs.busy));
    if (what === "price") return this.showPrice(more);
    if (what === "dragged") return this.showDrag(more);
    if (what === "alert") return this.warn(more);
    if (what === "answered") return this.alert.replaceChildren();
    if (what === "beliefs") this.answered(more);
    if (what === "evidence") this.best.forget();
    if (what === "selected" || what === "hypotheses") this.panel.build();
    if (what === "selected") this.chosen();
    if (what === "hypotheses") this.comparison.update();
    return this.update(what);
  }

  /** What has changed is drawn anew, and nothing else: somebody waits for it. */
  update(what) {
    if (what !== "busy") this.view.update(what);
    if (what !== "busy" && what !== "path") this.panel.update();
    if (["selected", "path", "marked"].includes(what)) return;
    if (what === "beliefs" || what === "hypotheses") this.change.update();
    this.ladder.update();
    if (what !== "busy") this.strip.update();
    if (this.beliefs.busy) this.waiting(() => this.work(true));
    else this.work(false);
  }

  /** That an answer is waited for, where it takes long: what is shown is of before. */
  work(on) {
    if (!on) this.waiting.cancel();
    this.working.hidden = !on;
    this.root.classList.toggle("te-behind", on && this.beliefs.hypotheses.some((own) => own.pending));
  }

  answered(own) {
    const n = own.evidence.size;
    const how = own.found.ends ? "intervals" : "exact";
    this.said.textContent = `${n ? `${n} observed` : "nothing observed"}; ${how}, in ${took(own.found.elapsed)}`;
  }

  warn({ words, retry }) {
    const again = retry && button("try again", () => { this.alert.replaceChildren(); retry(); });
    fill(this.alert, [element("span", { text: words }), again, button("×", () => this.alert.replaceChildren(), { "aria-label": "close" })]);
    this.update("alert");
  }

  showPrice(price) {
    this.bubble.show(price);
    if (this.dragging) return;
    this.price.textContent = "";
    this.price.setAttribute("data-price", price ? String(price.v) : "");
    if (!price) return;
    const { v, s, back, plan, ladder } = price;
    const rungs = ladder.filter((rung) => rung.seconds || rung.words.startsWith("exact")).map((rung) => rung.words);
    this.price.textContent = `${back ? "without " : ""}${this.beliefs.label(v, s)}: ${rungs.length ? rungs.join(", or ") : plan.words}`;
    this.price.title = plan.why;
  }

  /** How much a bar that is dragged supports its state. */
  showDrag(drag) {
    this.dragging = drag !== null;
    this.price.textContent = drag ? `${this.beliefs.label(drag.v, drag.s)}: likelihood ${percent(drag.share)} to ${percent(1 - drag.share)}` : "";
  }

  /** The pointer or the focus on a state has its price told; on a card, what connects it with the selected one. */
  rested(event) {
    if (event.type === "focusin" && !event.target.matches(":focus-visible")) return; // a click has been priced before
    const state = event.target.closest(".te-state");
    const card = event.target.closest("[data-variable]");
    if (event.type === "pointerover" && event.buttons && event.pointerType === "mouse") return;
    if (state) {
      const v = card ? Number(card.dataset.variable) : this.beliefs.selected;
      this.bubble.at(state, v, Number(state.dataset.state));
    } else if (!event.target.closest(".te-bubble")) this.bubble.leave();
    const { selected } = this.beliefs;
    if (!card) this.path.cancel();
    else if (selected !== null && selected !== Number(card.dataset.variable)) this.path(() => this.connect(selected, Number(card.dataset.variable)));
  }

  /** What connects two variables, given what is observed. */
  async connect(a, b) {
    this.connecting?.abort();
    this.connecting = new AbortController();
    const given = [...this.beliefs.current.evidence.keys()].filter((v) => v !== a && v !== b);
    const found = await lastReply(this.beliefs.host, { verb: "separation", a, b, given }, this.connecting.signal).catch(() => null);
    if (!found || found.error || this.beliefs.selected !== a) return;
    this.beliefs.showPath(found.separated ? [a, ...found.closed.filter((v) => v !== a && v !== b), b] : found.path, found.separated);
    this.say(found.reason, found.separated ? "closed" : "open");
  }

  /** To a variable: selected, with the focus on it. */
  goTo(v, s) {
    if (this.beliefs.selected !== v) this.beliefs.select(v);
    this.view.show(v, s);
  }

  chosen() {
    this.say("");
    if (this.beliefs.selected !== null) this.sheet(true);
  }

  /** On a narrow page details are a sheet that is drawn up. */
  sheet(open = !this.side.classList.contains("te-open")) {
    this.side.classList.toggle("te-open", open);
    this.handle.setAttribute("aria-expanded", String(open));
    const narrow = getComputedStyle(this.side).position === "absolute";
    this.view.covered?.(open && narrow ? this.side.offsetHeight - this.handle.offsetHeight : 0);
  }

  key(event) {
    if (this.help.open) return;
    const inField = event.target.matches("input, select, textarea");
    const command = event.ctrlKey || event.metaKey;
    const letter = event.key.toLowerCase();
    if (command && !inField && (letter === "z" || letter === "y")) {
      event.preventDefault();
      if (letter === "y" || event.shiftKey) this.beliefs.redo();
      else this.beliefs.undo();
    } else if (!inField && !command && !event.altKey && this.plainKey(event)) event.preventDefault();
  }

  /** What a key does; whether it did something. */
  plainKey(event) {
    const does = {
      "/": () => this.search.input.focus(),
      "?": () => this.help.showModal(),
      l: () => this.listed?.click(),
      a: () => this.beliefs.choose(0),
      b: () => this.beliefs.choose(1),
      Escape: () => this.escape(),
      Tab: event.shiftKey || !this.bubble.offersTo(event.target) ? null : () => this.bubble.enter(),
    }[event.key];
    if (does) does();
    return Boolean(does) || this.cardKey(event) || this.view.key(event);
  }

  cardKey(event) {
    const card = event.target.closest(".te-ground [data-variable]");
    if (!card) return false;
    const v = Number(card.dataset.variable);
    if (event.key === "s") this.beliefs.select(v);
    else if (event.key !== "Delete" && event.key !== "Backspace") return false;
    else if (this.beliefs.current.evidence.has(v)) this.beliefs.observe(v, null);
    return true;
  }

  escape() {
    if (this.bubble.root.contains(document.activeElement)) this.bubble.hide();
    else if (this.beliefs.busy) this.beliefs.stop();
    else if (this.alert.firstChild) this.alert.replaceChildren();
    else if (this.side.classList.contains("te-open")) this.sheet(false);
    else if (this.beliefs.selected !== null) this.beliefs.select(this.beliefs.selected);
    this.beliefs.quiet();
  }

  close() {
    this.ended.abort();
    this.themes.disconnect();
    this.waiting.cancel();
    this.connecting?.abort();
    this.view.close();
    this.beliefs.stop();
  }
}
