// The graph of a network: cards in the window as elements, lines and far cards on a canvas, one state reached by Tab.
import { element } from "./base.js";
import { Card } from "./cards.js";
import { Ground, NAMED, READABLE } from "./lines.js";
import { Overview } from "./overview.js";
import { Viewport } from "./viewport.js";

const BESIDES = 60; // pixels beside the window in which cards are there already
const BATCH = 30; // cards that are made for one picture; the rest comes with the next
const LEGIBLE = 0.7; // the least scale of a card that is gone to
const HITS = 4; // pixels beside a small card that still hit it
const CLOSER = 3.5; // times, by a click on the far ground
const HELD = 4; // pixels of a movement that is still a click

/** Draws `beliefs.model.layout` in an element; `go` is called with a variable that is clicked from afar. */
export class GraphView {
  constructor(ground, beliefs, go) {
    const { model } = beliefs;
    Object.assign(this, { ground, beliefs, go, boxes: model.layout.boxes, cards: new Map(), at: { v: 0, s: 0 } });
    this.canvas = element("canvas", { "aria-hidden": "true" });
    const label = `graph of ${model.variables.length} variables; arrow keys go from state to state and from card to card`;
    this.layer = element("div", { class: "te-cards", role: "application", "aria-label": label });
    ground.append(this.canvas, this.layer);
    this.view = new Viewport(ground, model.layout, () => this.draw(), () => beliefs.quiet());
    this.picture = new Ground(this.canvas, beliefs);
    this.overview = new Overview(ground, this);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(ground);
    this.ended = new AbortController();
    const { signal } = this.ended;
    ground.addEventListener("click", (event) => this.clicked(event), { signal });
    ground.addEventListener("dblclick", (event) => this.onGround(event) && this.view.zoom(1.6, this.view.at(event).screen), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint(), { signal });
  }

  /** Whether all of it is too small for names. */
  get far() {
    this.view.measure();
    return this.view.fitting.scale < NAMED;
  }

  repaint() {
    this.picture.repaint();
    this.view.changed();
  }

  /** The first picture comes when the size of the window is known; a window that was fitted stays so. */
  resized() {
    const { view } = this;
    const fitted = this.begun && Math.abs(view.scale - view.fitting.scale) < 1e-6;
    view.measure();
    if (!view.width) return;
    if (!this.begun) this.at = { v: this.boxes.reduce((best, box, v, all) => (box[1] < all[best][1] ? v : best), 0), s: 0 };
    if (!this.begun || fitted) view.fit(false);
    this.begun = true;
    this.repaint();
  }

  /** Variables whose cards are elements, those that are wanted first. */
  inWindow() {
    const { x, y, scale, width, height } = this.view;
    const shown = new Set();
    if (scale < READABLE) return shown;
    const [left, right] = [(-BESIDES - x) / scale, (width + BESIDES - x) / scale];
    const [top, bottom] = [(-BESIDES - y) / scale, (height + BESIDES - y) / scale];
    this.boxes.forEach(([bx, by, w, h], v) => {
      if (bx + w / 2 > left && bx - w / 2 < right && by + h / 2 > top && by - h / 2 < bottom) shown.add(v);
    });
    return shown;
  }

  draw() {
    const { view, layer } = this;
    this.picture.draw(view);
    this.overview.draw(view);
    layer.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    const shown = this.inWindow();
    const gone = [...this.cards.values()].filter((card) => !shown.has(card.v) && !card.root.contains(document.activeElement));
    for (const card of gone) {
      card.root.remove();
      this.cards.delete(card.v);
    }
    const missing = [...shown].filter((v) => !this.cards.has(v));
    const added = missing.slice(0, BATCH).map((v) => this.made(v));
    layer.append(...added);
    if (missing.length > BATCH) view.changed();
    if (gone.length || added.length || !this.roved) this.rove();
  }

  made(v) {
    const card = new Card(this.beliefs, v);
    card.update();
    this.cards.set(v, card);
    return card.root;
  }

  /** New numbers, or new marks. */
  update(what) {
    for (const card of this.cards.values()) card.update();
    if (what !== "beliefs") this.overview.forget();
    if (what !== "beliefs" || this.view.scale < READABLE) this.view.changed();
  }

  /** So many pixels at the bottom are hidden now: what is selected moves to where it is seen. */
  covered(pixels) {
    const { view, beliefs } = this;
    view.covered = pixels;
    if (pixels && beliefs.selected !== null) view.glide(view.showing(this.boxes[beliefs.selected], 0));
  }

  onGround({ target }) {
    return target === this.ground || target === this.canvas || target === this.layer;
  }

  clicked(event) {
    if (!this.onGround(event) || this.view.moved > HELD) return;
    const { view, beliefs } = this;
    const place = view.at(event);
    const far = view.scale < READABLE;
    const v = far ? this.picture.under(place, HITS / view.scale) : -1;
    if (v >= 0) this.go(v);
    else if (view.scale < READABLE / 2) view.zoom(CLOSER, place.screen);
    else if (beliefs.selected !== null) beliefs.select(beliefs.selected);
  }

  /** To a state: its card where it can be read, with the focus on it. */
  show(v, s = 0) {
    this.at = { v, s };
    const to = this.view.showing(this.boxes[v], LEGIBLE);
    if (!this.cards.has(v)) this.layer.append(this.made(v));
    this.rove();
    this.focus();
    this.view.glide(to);
  }

  focus() {
    const card = this.cards.get(this.at.v);
    card?.rows[Math.min(this.at.s, card.rows.length - 1)]?.root.focus({ preventScroll: true });
  }

  /** One state alone is reached by Tab; arrows go on from there. */
  rove() {
    this.roved = true;
    const own = this.cards.get(this.at.v) ?? this.cards.values().next().value;
    this.layer.tabIndex = this.cards.size ? -1 : 0;
    for (const card of this.cards.values()) {
      const mine = card.v === this.at.v ? Math.min(this.at.s, card.rows.length - 1) : 0;
      card.rows.forEach((row, s) => { row.root.tabIndex = card === own && s === mine ? 0 : -1; });
    }
  }

  /** What a key does here; whether it did something. */
  key(event) {
    const zoom = { "+": 1.3, "=": 1.3, "-": 1 / 1.3 }[event.key];
    const card = event.target.closest(".te-cards .te-card");
    if (zoom) this.view.zoom(zoom);
    else if (event.key === "0") this.view.fit();
    else if (event.target === this.layer && event.key === "Enter") this.show(this.at.v);
    else if (card) return this.cardKey(event, Number(card.dataset.variable), Number(event.target.dataset.state ?? 0));
    else return false;
    return true;
  }

  cardKey(event, v, s) {
    const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!steps) return false;
    this.step(v, s, steps);
    return true;
  }

  step(v, s, [dx, dy]) {
    const rows = this.cards.get(v).rows.length;
    if (dy && s + dy >= 0 && s + dy < rows) {
      this.at = { v, s: s + dy };
      this.rove();
      this.focus();
      return;
    }
    const next = this.beside(v, dx, dy);
    if (next < 0) return;
    const last = Math.min(this.beliefs.model.variables[next].states.length, 6) - 1;
    this.show(next, dy < 0 ? last : dy > 0 ? 0 : Math.min(s, last));
  }

  /** The nearest card in a direction. */
  beside(v, dx, dy) {
    const [x, y] = this.boxes[v];
    let [best, least] = [-1, Infinity];
    this.boxes.forEach(([bx, by], other) => {
      const [along, across] = [(bx - x) * dx + (by - y) * dy, Math.abs((bx - x) * dy) + Math.abs((by - y) * dx)];
      const away = along + 3 * across;
      if (other !== v && along > 1 && away < least) [best, least] = [other, away];
    });
    return best;
  }

  close() {
    this.ended.abort();
    this.observer.disconnect();
    this.ground.replaceChildren();
  }
}
