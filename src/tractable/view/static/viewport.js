// Pan and zoom: from the coordinates of the drawing to those of the screen.
import { nextFrame } from "./base.js";

const LEAST = 0.02;
const MOST = 3;

/** Where the window on the drawing lies; `shown` is called with every new picture. */
export class Viewport {
  constructor(ground, size, shown) {
    Object.assign(this, { ground, size, x: 0, y: 0, scale: 1, pointers: new Map() });
    this.changed = nextFrame(shown);
    ground.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    ground.addEventListener("pointerdown", (event) => this.down(event));
    ground.addEventListener("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"]) ground.addEventListener(type, (event) => this.up(event));
  }

  get width() {
    return this.ground.clientWidth;
  }

  get height() {
    return this.ground.clientHeight;
  }

  /** All of it, as large as it fits, but no larger than it was drawn. */
  fit() {
    const scale = Math.min(this.width / (this.size.width + 40), this.height / (this.size.height + 40), 1.1);
    this.scale = Math.max(scale, LEAST);
    this.x = (this.width - this.size.width * this.scale) / 2;
    this.y = (this.height - this.size.height * this.scale) / 2;
    this.changed();
  }

  zoom(factor, at = [this.width / 2, this.height / 2]) {
    const scale = Math.min(Math.max(this.scale * factor, LEAST), MOST);
    this.x = at[0] - ((at[0] - this.x) * scale) / this.scale;
    this.y = at[1] - ((at[1] - this.y) * scale) / this.scale;
    this.scale = scale;
    this.changed();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.changed();
  }

  /** A box of the drawing to where it can be read. */
  show([x, y, w, h], least = 0.7) {
    const margin = 30;
    if (this.scale < least) {
      this.scale = 1;
      this.x = this.width / 2 - x;
      this.y = this.height / 2 - y;
    }
    const [left, top] = [this.x + (x - w / 2) * this.scale, this.y + (y - h / 2) * this.scale];
    const [right, bottom] = [left + w * this.scale, top + h * this.scale];
    this.x += Math.max(margin - left, 0) - Math.max(right - this.width + margin, 0);
    this.y += Math.max(margin - top, 0) - Math.max(bottom - this.height + margin, 0);
    this.changed();
  }

  /** From the screen to the drawing. */
  at(event) {
    const box = this.ground.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale, screen: [x, y] };
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(-event.deltaY / 300), this.at(event).screen);
    else this.pan(event.shiftKey ? -event.deltaY : -event.deltaX, event.shiftKey ? 0 : -event.deltaY);
  }

  down(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.moved = 0;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    const away = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (other) {
      this.zoom(away(now, other) / Math.max(away(before, other), 1), this.at(event).screen);
    } else {
      this.moved += away(now, before);
      if (this.moved > 4 && !this.ground.hasPointerCapture(event.pointerId)) this.ground.setPointerCapture(event.pointerId);
      this.pan(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }
}
