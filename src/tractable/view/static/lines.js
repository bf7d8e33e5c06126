// The ground of a network on a canvas: arrows, and cards that are too small to be read.

import { element } from "./base.js";

/** From here on cards are elements; below they are pictures of themselves. */
export const READABLE = 0.42;

const INKS = ["line", "path", "closed", "card", "edge", "bar", "ink", "given", "select"];

/** The colours of the style sheet as a canvas takes them: a name may stand for two, for light and for dark. */
function colours(probe) {
  const of = (name) => {
    probe.style.color = `var(--te-${name})`;
    return getComputedStyle(probe).color;
  };
  return Object.fromEntries(INKS.map((name) => [name, of(name)]));
}

/** Draws what of a network is in the window. */
export class Ground {
  constructor(canvas, beliefs) {
    Object.assign(this, { canvas, beliefs, probe: canvas.parentElement.appendChild(element("i", { hidden: true })) });
    const { boxes, routes } = beliefs.model.layout;
    this.boxes = boxes;
    this.routes = routes.map(([tail, head, directed, points]) => {
      const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
      return { tail, head, directed, points, reach: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] };
    });
  }

  draw(view) {
    const ratio = globalThis.devicePixelRatio || 1;
    const { canvas } = this;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
    const window = [-view.x / view.scale, -view.y / view.scale, (view.width - view.x) / view.scale, (view.height - view.y) / view.scale];
    this.inks = colours(this.probe);
    this.arrows(pen, view, window);
    if (view.scale < READABLE) this.small(pen, view, window);
  }

  arrows(pen, view, window) {
    const { path, closed } = this.beliefs;
    const pairs = new Set(path.slice(1).map((v, i) => `${Math.min(v, path[i])},${Math.max(v, path[i])}`));
    const thin = Math.max(1.2, 0.8 / view.scale);
    const marked = [];
    pen.lineWidth = thin;
    pen.strokeStyle = pen.fillStyle = this.inks.line;
    for (const route of this.routes) {
      const { reach, tail, head } = route;
      if (reach[2] < window[0] || reach[0] > window[2] || reach[3] < window[1] || reach[1] > window[3]) continue;
      if (pairs.has(`${Math.min(tail, head)},${Math.max(tail, head)}`)) marked.push(route);
      else trace(pen, route, view.scale > 0.15);
    }
    pen.lineWidth = 2.6 * thin;
    pen.strokeStyle = pen.fillStyle = closed ? this.inks.closed : this.inks.path;
    if (closed) pen.setLineDash([7, 5]);
    for (const route of marked) trace(pen, route, true);
    pen.setLineDash([]);
  }

  small(pen, view, window) {
    const { beliefs, inks } = this;
    const found = beliefs.current.found?.marginals;
    const onPath = new Set(beliefs.path);
    this.boxes.forEach(([x, y, w, h], v) => {
      const [left, top] = [x - w / 2, y - h / 2];
      if (left > window[2] || left + w < window[0] || top > window[3] || top + h < window[1]) return;
      const given = beliefs.current.evidence.has(v);
      pen.fillStyle = given ? inks.given : inks.card;
      pen.fillRect(left, top, w, h);
      pen.strokeStyle = v === beliefs.selected || onPath.has(v) ? inks.select : inks.edge;
      pen.lineWidth = (v === beliefs.selected || onPath.has(v) ? 2.5 : 1) / Math.max(view.scale, 0.2);
      pen.strokeRect(left, top, w, h);
      if (view.scale < 0.05) return;
      const rows = found?.[v] ?? [];
      pen.fillStyle = inks.bar;
      const step = 17;
      for (let s = 0; s < Math.min(rows.length, 6); s += 1) pen.fillRect(left + 4, top + 26 + step * s, (w - 8) * rows[s], step - 5);
      if (view.scale < 0.14) return;
      pen.fillStyle = inks.ink;
      pen.font = "600 13px system-ui, sans-serif";
      pen.fillText(shortened(beliefs.model.variables[v].name, w), left + 6, top + 17, w - 12);
    });
  }

  /** The variable at a place of the drawing, if any. */
  under({ x, y }) {
    return this.boxes.findIndex(([cx, cy, w, h]) => Math.abs(x - cx) <= w / 2 && Math.abs(y - cy) <= h / 2);
  }
}

function shortened(name, width) {
  const most = Math.floor(width / 7);
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** A route: points in pairs, straight through a layer, then a curve to the next that begins and ends upright. */
function trace(pen, { points, directed }, withHead) {
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (let i = 1; i < points.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    if (i % 2 === 1 && points.length > 2) {
      pen.lineTo(x1, y1);
    } else {
      const middle = (y0 + y1) / 2;
      pen.bezierCurveTo(x0, middle, x1, middle, x1, y1);
    }
  }
  pen.stroke();
  if (!directed || !withHead) return;
  const [x, y] = points[points.length - 1];
  const up = points[points.length - 2][1] > y ? -1 : 1;
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - 4, y - 8 * up);
  pen.lineTo(x + 4, y - 8 * up);
  pen.fill();
}
