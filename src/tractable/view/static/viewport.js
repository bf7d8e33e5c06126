// Pan and zoom: from the coordinates of the drawing to those of the screen.
import { nextFrame } from "./base.js";

const LEAST = 0.02;
const MOST = 3;
const LARGEST = 1.5; // of a drawing that is fitted
const GLIDE = 180; // milliseconds from one view to another
const STILL = 160; // milliseconds after which a movement has ended

/** Where the window on the drawing lies; `shown` is called with every new picture, `pushed` where somebody moves it. */
export class Viewport {
  constructor(ground, size, shown, pushed) {
    Object.assign(this, { ground, size, pushed, x: 0, y: 0, scale: 1, pointers: new Map(), moved: 0, covered: 0 });
    this.changed = nextFrame(shown);
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    ground.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    ground.addEventListener("pointerdown", (event) => this.down(event));
    ground.addEventListener("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"]) ground.addEventListener(type, (event) => this.up(event));
    this.alone = document.body.classList.contains("tractable-page");
    this.measure();
  }

  /** The size of the window, looked up once for many pictures. */
  measure() {
    this.width = this.ground.clientWidth;
    this.height = this.ground.clientHeight;
  }

  get place() {
    return { x: this.x, y: this.y, scale: this.scale };
  }

  /** Where all of it is seen, as large as it fits. */
  get fitting() {
    const wanted = Math.min((this.width - 32) / this.size.width, (this.height - 32) / this.size.height, LARGEST);
    const scale = Math.max(wanted, LEAST);
    return { scale, x: (this.width - this.size.width * scale) / 2, y: (this.height - this.size.height * scale) / 2 };
  }

  fit(at = true) {
    this.glide(this.fitting, at);
  }

  /** To another view, not in one jump, except for those who want no motion. */
  glide(to, slowly = true) {
    cancelAnimationFrame(this.gliding);
    const from = this.place;
    const start = performance.now();
    const step = (now) => {
      const share = slowly && !this.calm.matches ? Math.min((now - start) / GLIDE, 1) : 1;
      const part = 1 - (1 - share) ** 3;
      for (const name of ["x", "y", "scale"]) this[name] = from[name] + part * (to[name] - from[name]);
      if (share < 1) this.gliding = requestAnimationFrame(step);
      this.changed();
    };
    step(start);
  }

  /** A view closer by a factor, in which what is at a place stays there. */
  zoomed(factor, [left, top] = [this.width / 2, this.height / 2]) {
    const scale = Math.min(Math.max(this.scale * factor, LEAST), MOST);
    return { scale, x: left - ((left - this.x) * scale) / this.scale, y: top - ((top - this.y) * scale) / this.scale };
  }

  zoom(factor, at) {
    this.glide(this.zoomed(factor, at));
  }

  jump(to) {
    cancelAnimationFrame(this.gliding);
    Object.assign(this, to);
    this.moves();
    this.pushed();
    this.changed();
  }

  pan(dx, dy) {
    this.jump({ x: this.x + dx, y: this.y + dy });
  }

  /** The layer of cards is a picture of its own as long as it moves. */
  moves() {
    this.ground.classList.add("te-moving");
    clearTimeout(this.ending);
    this.ending = setTimeout(() => this.ground.classList.remove("te-moving"), STILL);
  }

  /** The view in which a box of the drawing can be read. */
  showing([x, y, w, h], least) {
    const margin = 30;
    const [scale, height] = [this.scale < least ? 1 : this.scale, this.height - this.covered];
    const found = this.scale < least ? { scale, x: this.width / 2 - x, y: height / 2 - y } : this.place;
    const [left, top] = [found.x + (x - w / 2) * scale, found.y + (y - h / 2) * scale];
    const [right, bottom] = [left + w * scale, top + h * scale];
    found.x += Math.max(margin - left, 0) - Math.max(right - this.width + margin, 0);
    found.y += Math.max(margin - top, 0) - Math.max(bottom - height + margin, 0);
    return found;
  }

  /** From the screen to the drawing. */
  at(event) {
    const box = this.ground.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale, screen: [x, y] };
  }

  wheel(event) {
    const zooms = event.ctrlKey || event.metaKey;
    if (!zooms && !this.alone && !this.ground.contains(document.activeElement)) return; // the notebook scrolls
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 18 : 1; // lines
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (zooms) this.jump(this.zoomed(Math.exp(-dy / 300), this.at(event).screen));
    else this.pan(event.shiftKey ? -dy : -dx, event.shiftKey ? 0 : -dy);
  }

  down(event) {
    if (event.button > 1) return;
    if (event.button === 1) event.preventDefault(); // the browser would scroll
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.moved = 0;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    const away = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    this.moved += away(now, before);
    if (this.moved > 4 && !this.ground.hasPointerCapture(event.pointerId)) this.ground.setPointerCapture(event.pointerId);
    if (other) {
      const box = this.ground.getBoundingClientRect();
      const middle = [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top];
      this.jump(this.zoomed(away(now, other) / Math.max(away(before, other), 1), middle));
    }
    const share = other ? 0.5 : 1;
    this.pan(share * (now[0] - before[0]), share * (now[1] - before[1]));
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }
}
