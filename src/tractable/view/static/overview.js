// A small picture of a graph that is larger than the window, with the window in it.
import { element } from "./base.js";

const [WIDEST, HIGHEST] = [220, 130]; // pixels
const LARGER = 1.25; // times the window, from which on it helps

/** The overview of a graph in a corner of its ground; a press on it goes there. */
export class Overview {
  constructor(ground, graph) {
    Object.assign(this, { graph, ratio: Math.min(globalThis.devicePixelRatio || 1, 2) });
    const { width, height } = graph.beliefs.model.layout;
    this.scale = Math.min(WIDEST / width, HIGHEST / height);
    this.size = [width * this.scale, height * this.scale].map((n) => Math.max(Math.round(n), 12));
    this.canvas = element("canvas", { width: this.size[0] * this.ratio, height: this.size[1] * this.ratio });
    this.frame = element("span", { class: "te-frame" });
    this.root = element("div", { class: "te-overview", "aria-hidden": "true", hidden: true }, this.canvas, this.frame);
    for (const [name, n] of [["width", this.size[0]], ["height", this.size[1]]]) this.root.style.setProperty(name, `${n}px`);
    this.root.addEventListener("pointerdown", (event) => this.down(event));
    this.root.addEventListener("pointermove", (event) => event.buttons && this.to(event));
    ground.append(this.root);
  }

  /** The marks in it are no longer right. */
  forget() {
    this.drawn = false;
  }

  down(event) {
    event.stopPropagation();
    this.root.setPointerCapture(event.pointerId);
    this.to(event);
  }

  to(event) {
    const { view } = this.graph;
    const box = this.root.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / this.scale, (event.clientY - box.top) / this.scale];
    view.jump({ x: view.width / 2 - x * view.scale, y: view.height / 2 - y * view.scale });
  }

  draw(view) {
    const [width, height] = [view.size.width * view.scale, view.size.height * view.scale];
    this.root.hidden = width < LARGER * view.width && height < LARGER * view.height;
    if (this.root.hidden) return;
    if (!this.drawn) this.dots();
    const share = this.scale / view.scale;
    const place = { left: -view.x * share, top: -view.y * share, width: view.width * share, height: view.height * share };
    for (const [name, n] of Object.entries(place)) this.frame.style.setProperty(name, `${n}px`);
  }

  dots() {
    this.drawn = true;
    const { boxes, beliefs, picture } = this.graph;
    const pen = this.canvas.getContext("2d");
    const scale = this.scale * this.ratio;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const dot = (v, least) => {
      const [x, y, w, h] = boxes[v];
      const [wide, high] = [Math.max(w * scale, least), Math.max(h * scale, least)];
      pen.fillRect(x * scale - wide / 2, y * scale - high / 2, wide, high);
    };
    pen.fillStyle = picture.inks.line;
    boxes.forEach((_, v) => dot(v, 1.5));
    pen.fillStyle = picture.inks.mark;
    for (const v of beliefs.current.evidence.keys()) dot(v, 5);
    pen.fillStyle = picture.inks.select;
    if (beliefs.selected !== null) dot(beliefs.selected, 6);
  }
}
