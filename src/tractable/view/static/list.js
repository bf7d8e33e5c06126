// Variables as a list: for models too large to be drawn, and for all who would rather read.
import { element, nextFrame } from "./base.js";
import { shortBelief } from "./panels.js";

const LINE = 30; // pixels, as in the style sheet
const BESIDE = 8; // lines above and below the window that are there already

/** A list of all variables, of which only the lines in the window are elements. */
export class ListView {
  constructor(ground, beliefs, go, note) {
    Object.assign(this, { beliefs, go, at: { v: 0, s: 0 }, lines: new Map() });
    const n = beliefs.model.variables.length;
    this.all = element("div", { class: "te-lines", role: "list", "aria-label": `${n} variables` });
    this.all.style.setProperty("height", `${LINE * n}px`);
    this.root = element("div", { class: "te-list" }, note && element("p", { class: "te-hint te-large", text: note }), this.all);
    ground.append(this.root);
    this.changed = nextFrame(() => this.draw());
    this.root.addEventListener("scroll", this.changed);
    this.observer = new ResizeObserver(this.changed);
    this.observer.observe(this.root);
  }

  draw() {
    const n = this.beliefs.model.variables.length;
    const top = this.root.scrollTop - this.all.offsetTop;
    const first = Math.max(Math.floor(top / LINE) - BESIDE, 0);
    const last = Math.min(Math.ceil((top + this.root.clientHeight) / LINE) + BESIDE, n);
    for (const [v, line] of this.lines) {
      if ((v >= first && v < last) || line.contains(document.activeElement)) continue;
      line.remove();
      this.lines.delete(v);
    }
    for (let v = first; v < last; v += 1) if (!this.lines.has(v)) this.made(v);
    const tabbed = this.lines.has(this.at.v) ? this.at.v : first;
    for (const [v, line] of this.lines) line.firstChild.tabIndex = v === tabbed ? 0 : -1;
  }

  made(v) {
    const name = element("b", { text: this.beliefs.label(v) });
    const line = element("button", { type: "button", class: "te-line-button", "data-variable": v, on: { click: () => this.go(v) } }, name, element("span"));
    const own = element("div", { class: "te-listed", role: "listitem" }, line);
    own.style.setProperty("top", `${LINE * v}px`);
    this.lines.set(v, own);
    this.all.append(own);
    this.mark(v, line);
  }

  mark(v, line) {
    const given = this.beliefs.hypotheses.some((own) => own.evidence.has(v));
    line.lastChild.textContent = `${given ? "● " : ""}${shortBelief(this.beliefs, v)}`;
    line.classList.toggle("te-given", given);
    line.classList.toggle("te-onpath", this.beliefs.path.includes(v));
    line.setAttribute("aria-current", String(this.beliefs.selected === v));
  }

  update() {
    for (const [v, line] of this.lines) this.mark(v, line.firstChild);
  }

  show(v) {
    this.at = { v, s: 0 };
    const top = this.all.offsetTop + LINE * v;
    const { scrollTop, clientHeight } = this.root;
    if (top < scrollTop || top + LINE > scrollTop + clientHeight) this.root.scrollTop = top - clientHeight / 2;
    this.draw();
    this.focus();
  }

  focus() {
    this.lines.get(this.at.v)?.firstChild.focus({ preventScroll: true });
  }

  /** What a key does here; whether it did something. */
  key(event) {
    const line = event.target.closest(".te-line-button");
    const page = Math.max(Math.floor(this.root.clientHeight / LINE) - 1, 1);
    const n = this.beliefs.model.variables.length;
    const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -n, End: n }[event.key];
    if (!line || !by) return false;
    this.show(Math.min(Math.max(Number(line.dataset.variable) + by, 0), n - 1));
    return true;
  }

  close() {
    this.observer.disconnect();
    this.root.remove();
  }
}
