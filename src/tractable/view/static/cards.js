// Cards of variables: a row for each state with its belief, what it was before, and how far off it may be.
import { element, percent, sure } from "./base.js";

/** States of a card; the rest is in the panel of the variable. */
export const ROWS = 6;
const LETTER = 6.6; // pixels that a letter takes, about
const DRAGGED = 6; // pixels after which a press on a bar is soft evidence and no click

/** The evidence about a variable in words, or nothing. */
export function evidenceWords(beliefs, own, v) {
  const value = own.evidence.get(v);
  if (value === undefined) return "";
  if (!Array.isArray(value)) return `observed: ${beliefs.model.variables[v].states[value]}`;
  return "soft evidence";
}

/** A row: the button of a state, with bars of one hypothesis or of two. */
export class StateRow {
  constructor(beliefs, v, s) {
    Object.assign(this, { beliefs, v, s, bars: [] });
    this.name = element("span", { class: "te-name", text: beliefs.model.variables[v].states[s] });
    this.track = element("span", { class: "te-track" });
    this.number = element("span", { class: "te-number" });
    const given = { type: "button", class: "te-state", "data-state": s, tabindex: "-1", "aria-pressed": "false" };
    this.root = element("button", given, this.name, this.track, this.number);
    this.root.title = "";
    this.root.addEventListener("pointerdown", (event) => this.pressed(event));
    this.root.addEventListener("click", () => this.clicked());
  }

  clicked() {
    if (this.dragged) this.dragged = false;
    else this.beliefs.toggle(this.v, this.s);
  }

  /** A bar that is dragged says how much the state is supported; the others share the rest. */
  pressed(event) {
    if (event.button !== 0 || event.pointerType === "touch" || !event.target.closest(".te-track")) return;
    event.stopPropagation(); // the ground would move
    const box = this.track.getBoundingClientRect();
    const n = this.beliefs.model.variables[this.v].states.length;
    const share = (at) => Math.min(Math.max((at.clientX - box.left) / box.width, 0.001), 0.999);
    const moved = (at) => {
      if (Math.abs(at.clientX - event.clientX) < DRAGGED && !this.dragged) return;
      this.dragged = true;
      this.root.classList.add("te-dragged");
      this.number.textContent = `≈${percent(share(at))}`;
    };
    const released = (at) => {
      removeEventListener("pointermove", moved);
      removeEventListener("pointerup", released);
      this.root.classList.remove("te-dragged");
      if (!this.dragged || n < 2) return;
      const p = share(at);
      this.beliefs.observe(this.v, Array.from({ length: n }, (_, s) => (s === this.s ? p : (1 - p) / (n - 1))));
      if (at.target !== this.root && !this.root.contains(at.target)) this.dragged = false; // no click will come
    };
    addEventListener("pointermove", moved);
    addEventListener("pointerup", released);
  }

  bar(i) {
    while (this.bars.length <= i) {
      const parts = ["te-fill", "te-band", "te-ghost"].map((name) => element("span", { class: name }));
      const bar = element("span", { class: `te-bar te-${"ab"[this.bars.length]}` }, ...parts);
      this.track.append(bar);
      this.bars.push({ bar, fill: parts[0], band: parts[1], ghost: parts[2] });
    }
    return this.bars[i];
  }

  update() {
    const { beliefs, v, s, root } = this;
    const shown = beliefs.hypotheses.map((own, i) => this.drawn(own, this.bar(i)));
    while (this.bars.length > shown.length) this.bars.pop().bar.remove();
    const value = beliefs.current.evidence.get(v);
    root.setAttribute("aria-pressed", String(value === s));
    root.classList.toggle("te-marked", beliefs.marked?.[v] === s);
    this.number.textContent = shown.map((one) => one.short).join(" | ");
    const label = beliefs.label(v, s);
    const more = beliefs.comparing ? `A ${shown[0].words}; B ${shown[1].words}` : shown[0].words;
    root.setAttribute("aria-label", `${label}: ${more}${value === s ? ", observed" : ""}`);
    ["data-belief", "data-belief-b"].forEach((name, i) => {
      if (shown[i]?.p === undefined || shown[i].p === null) root.removeAttribute(name);
      else root.setAttribute(name, String(shown[i].p));
    });
  }

  /** One bar, and what it says. */
  drawn(own, { bar, fill, band, ghost }) {
    const { v, s } = this;
    const p = own.found?.marginals?.[v]?.[s];
    const [before, ends] = [own.before?.[v]?.[s], own.found?.ends];
    fill.style.transform = `scaleX(${p ?? 0})`;
    ghost.hidden = before === undefined || before === null || Math.abs(before - p) < 5e-4;
    if (!ghost.hidden) ghost.style.width = `${100 * before}%`;
    const [low, high] = [ends?.lower?.[v]?.[s], ends?.upper?.[v]?.[s]];
    band.hidden = low === undefined || low === null;
    if (!band.hidden) {
      band.style.left = `${100 * low}%`;
      band.style.width = `${100 * (high - low)}%`;
    }
    bar.classList.toggle("te-late", own.late !== null);
    if (p === undefined || p === null) return { p, short: "?", words: "not known" };
    if (band.hidden) return { p, short: percent(p), words: `${percent(p)} %, exact` };
    return { p, short: percent(p), words: `${percent(p)} %, between ${percent(low)} and ${percent(high)}, ${sure(ends)}` };
  }
}

/** The card of a variable, where its layout puts it. */
export class Card {
  constructor(beliefs, v) {
    const own = beliefs.model.variables[v];
    Object.assign(this, { beliefs, v });
    this.head = element("div", { class: "te-head", text: own.name || "(no name)" });
    this.head.addEventListener("click", () => beliefs.select(v));
    this.rows = own.states.slice(0, ROWS).map((_, s) => new StateRow(beliefs, v, s));
    this.more = own.states.length > ROWS ? element("button", { type: "button", class: "te-more", tabindex: "-1" }) : null;
    this.more?.addEventListener("click", () => beliefs.select(v));
    if (this.more) this.more.textContent = `+ ${own.states.length - ROWS} more`;
    const given = { class: "te-card", "data-variable": v, role: "group", "aria-label": own.name || "(no name)" };
    this.root = element("div", given, this.head, ...this.rows.map((row) => row.root), this.more);
    const [x, y, w, h] = beliefs.model.layout.boxes[v];
    const longest = Math.max(...own.states.slice(0, ROWS).map((state) => [...state].length));
    this.root.style.setProperty("--te-names", `${Math.min(LETTER * longest + 4, w / 2)}px`);
    for (const [name, value] of Object.entries({ left: x - w / 2, top: y - h / 2, width: w, height: h })) {
      this.root.style.setProperty(name, `${value}px`);
    }
  }

  update() {
    const { beliefs, v, root } = this;
    for (const row of this.rows) row.update();
    const value = beliefs.current.evidence.get(v);
    root.classList.toggle("te-given", value !== undefined);
    root.classList.toggle("te-soft", Array.isArray(value));
    root.classList.toggle("te-selected", beliefs.selected === v);
    root.classList.toggle("te-onpath", beliefs.path.includes(v));
    const words = evidenceWords(beliefs, beliefs.current, v);
    root.setAttribute("aria-label", [beliefs.label(v) || "(no name)", words].filter(Boolean).join(", "));
  }
}
