// Cards of variables: a row for each state, which is its bar: belief, what it was before, how far off it may be.
import { digits, element, percent, sure } from "./base.js";
import { shownName } from "./beliefs.js";

/** States of a card; the rest is in the panel of the variable. */
export const ROWS = 6;
const DRAGGED = 6; // pixels after which a press on a bar is soft evidence and no click
const VISIBLE = 5e-4; // a change, or a half width, that a number with one digit would show
const FONT = '700 12px system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif'; // as in the style sheet
const KEPT_WIDE = 86; // pixels of a card that stay for a bar and its number

const pen = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");

/** Pixels that names take, bold as an observed one is. */
function wide(names) {
  pen.font = FONT;
  return Math.max(...names.map((name) => pen.measureText(name.slice(0, 60)).width)) + 1;
}

/** The evidence about a variable in words, or nothing. */
export function evidenceWords(beliefs, own, v) {
  const value = own.evidence.get(v);
  if (value === undefined) return "";
  const { states } = beliefs.model.variables[v];
  if (!Array.isArray(value)) return `observed: ${shownName(states[value])}`;
  return `soft evidence: ${value.map((w, s) => `${shownName(states[s])} ${digits(w, 2)}`).slice(0, ROWS).join(", ")}`;
}

/** The same in as few words as the head of a card has room for; of two hypotheses where they differ. */
function givenWords(beliefs, v) {
  const short = (value) => (value === undefined ? "" : Array.isArray(value) ? "≈ soft" : `= ${shownName(beliefs.model.variables[v].states[value])}`);
  const told = beliefs.hypotheses.map((own) => short(own.evidence.get(v)));
  if (told.every((one) => one === told[0])) return told[0];
  return told.map((one, i) => one && `${"AB"[i]} ${one}`).filter(Boolean).join(", ");
}

/** Weights by which a state has a share, and the others the rest of it. */
function weighted(n, s, share) {
  return Array.from({ length: n }, (_, i) => (i === s ? share : (1 - share) / (n - 1)));
}

/** A row: the button of a state, with bars of one hypothesis or of two; `precise` ones show all digits. */
export class StateRow {
  constructor(beliefs, v, s, precise = false) {
    Object.assign(this, { beliefs, v, s, precise, bars: [] });
    const name = beliefs.model.variables[v].states[s];
    this.track = element("span", { class: "te-track" });
    this.number = element("span", { class: "te-number" });
    const given = { type: "button", class: "te-state", "data-state": s, tabindex: "-1", "aria-pressed": "false" };
    this.root = element("button", given, element("span", { class: "te-name", text: name, title: name.length > 12 ? name : null }), this.track, this.number);
    this.root.addEventListener("pointerdown", (event) => this.pressed(event));
    this.root.addEventListener("click", () => this.clicked());
  }

  clicked() {
    if (this.dragged) this.dragged = false;
    else this.beliefs.toggle(this.v, this.s);
  }

  /** A bar that is dragged says how much the state is supported; the others share the rest. */
  pressed(event) {
    const n = this.beliefs.model.variables[this.v].states.length;
    if (event.button !== 0 || event.pointerType === "touch" || n < 2) return;
    event.stopPropagation(); // the ground would move
    const box = this.track.getBoundingClientRect();
    const share = (at) => Math.min(Math.max((at.clientX - box.left) / box.width, 0.001), 0.999);
    const ended = new AbortController();
    const moved = (at) => {
      if (!this.dragged && Math.abs(at.clientX - event.clientX) < DRAGGED) return;
      this.dragged = true;
      this.root.classList.add("te-dragged");
      this.beliefs.drag(this.v, weighted(n, this.s, share(at)));
      this.beliefs.tell("dragged", { v: this.v, s: this.s, share: share(at) });
    };
    const released = (at) => {
      ended.abort();
      this.root.classList.remove("te-dragged");
      if (!this.dragged) return;
      this.beliefs.drop(this.v, weighted(n, this.s, share(at)));
      this.beliefs.tell("dragged", null);
      if (at.target !== this.root && !this.root.contains(at.target)) this.dragged = false; // no click will come
    };
    addEventListener("pointermove", moved, { signal: ended.signal });
    addEventListener("pointerup", released, { signal: ended.signal });
  }

  bar(i) {
    while (this.bars.length <= i) {
      const parts = ["te-full", "te-band", "te-point", "te-ghost"].map((name) => element("span", { class: name }));
      const bar = element("span", { class: `te-strip te-${"ab"[this.bars.length]}` }, ...parts);
      this.track.append(bar);
      this.bars.push({ bar, full: parts[0], band: parts[1], point: parts[2], ghost: parts[3] });
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
    this.number.textContent = shown.map((one) => (shown.length > 1 && !this.precise ? one.brief : one.short)).join(" | ");
    const more = beliefs.comparing ? `A ${shown[0].words}; B ${shown[1].words}` : shown[0].words;
    const notes = [value === s && "observed", beliefs.marked?.[v] === s && "of the most probable states"].filter(Boolean);
    root.setAttribute("aria-label", [`${beliefs.label(v)}, ${shownName(beliefs.model.variables[v].states[s])}: ${more}`, ...notes].join(", "));
    ["data-belief", "data-belief-b"].forEach((name, i) => {
      if (shown[i]?.p === undefined || shown[i].p === null) root.removeAttribute(name);
      else root.setAttribute(name, String(shown[i].p));
    });
  }

  /** One bar, and what it says. */
  drawn(own, { bar, full, band, point, ghost }) {
    const { v, s } = this;
    const [p, before, ends] = [own.found?.marginals?.[v]?.[s], own.before?.[v]?.[s], own.found?.ends];
    const [low, high] = [ends?.lower?.[v]?.[s] ?? null, ends?.upper?.[v]?.[s] ?? null];
    full.style.transform = `scaleX(${low ?? p ?? 0})`; // which moves nothing else
    ghost.hidden = this.beliefs.comparing || before === undefined || before === null || Math.abs(before - p) < VISIBLE;
    if (!ghost.hidden) ghost.style.width = `${100 * before}%`;
    band.hidden = point.hidden = low === null;
    if (low !== null) {
      band.style.left = `${100 * low}%`;
      band.style.width = `${100 * (high - low)}%`;
      point.style.left = `${100 * p}%`;
    }
    bar.classList.toggle("te-late", this.beliefs.behind(own));
    bar.classList.toggle("te-observed", own.evidence.get(v) === s);
    if (p === undefined || p === null) return { p, brief: "?", short: "?", words: "not known" };
    const brief = briefly(p);
    if (low === null) return { p, brief, short: this.precise ? digits(p, 6) : percent(p), words: `${percent(p)} %, exact` };
    const words = `${percent(p)} %, between ${percent(low)} and ${percent(high)}, ${sure(ends)}`;
    return { p, brief, words, short: this.precise ? `${digits(p, 4)} [${digits(low, 4)}, ${digits(high, 4)}]` : within(p, low, high) };
  }
}

/** A percentage and how far off it may be, where that shows. */
export function within(p, low, high) {
  const off = Math.max(high - p, p - low);
  if (off < VISIBLE) return percent(p);
  return off < 0.01 ? `${percent(p)}±${(100 * off).toFixed(1)}` : `${(100 * p).toFixed(0)}±${(100 * off).toFixed(0)}`;
}

/** A percentage where there is little room. */
function briefly(p) {
  return p >= 0.0995 && p <= 0.995 ? (100 * p).toFixed(0) : percent(p).replace(/\.0$/, "");
}

/** The card of a variable, where its layout puts it. */
export class Card {
  constructor(beliefs, v) {
    const own = beliefs.model.variables[v];
    Object.assign(this, { beliefs, v });
    this.head = element("div", { class: "te-head", title: own.name }, element("span", { text: own.name || "(no name)" }));
    this.head.addEventListener("click", () => beliefs.select(v));
    this.rows = own.states.slice(0, ROWS).map((_, s) => new StateRow(beliefs, v, s));
    const words = `+ ${own.states.length - ROWS} more`;
    this.more = own.states.length > ROWS ? element("button", { type: "button", class: "te-more", tabindex: "-1", text: words }) : null;
    this.more?.addEventListener("click", () => beliefs.select(v));
    const given = { class: "te-card", "data-variable": v, role: "group", "aria-label": beliefs.label(v) };
    this.root = element("div", given, this.head, ...this.rows.map((row) => row.root), this.more);
    const [x, y, w, h] = beliefs.model.layout.boxes[v];
    this.root.style.setProperty("--te-names", `${Math.min(wide(own.states.slice(0, ROWS)), w - KEPT_WIDE)}px`);
    for (const [name, value] of Object.entries({ left: x - w / 2, top: y - h / 2, width: w, height: h })) {
      this.root.style.setProperty(name, `${value}px`);
    }
  }

  update() {
    const { beliefs, v, root } = this;
    for (const row of this.rows) row.update();
    root.classList.toggle("te-apart", Boolean(beliefs.current.found?.ends) || beliefs.comparing);
    const told = givenWords(beliefs, v);
    root.classList.toggle("te-given", told !== "");
    root.classList.toggle("te-selected", beliefs.selected === v);
    const place = beliefs.path.indexOf(v);
    root.classList.toggle("te-onpath", place >= 0);
    root.classList.toggle("te-closed", place >= 0 && beliefs.closed);
    this.head.setAttribute("data-told", told);
    const words = evidenceWords(beliefs, beliefs.current, v);
    root.setAttribute("aria-label", [beliefs.label(v), words].filter(Boolean).join(", "));
  }
}
