// The ground of a network on a canvas: arrows, and cards that are too small to be read.
import { element } from "./base.js";

/** From here on cards are elements; below they are pictures of themselves. */
export const READABLE = 0.42;

const INKS = ["line", "far", "path", "closed", "card", "edge", "fill", "bar", "ink", "given", "mark", "select"];
/** From here on pictures of cards have names. */
export const NAMED = 0.14;
const DOT = 2.2; // pixels of the smallest picture of a card
const [HEAD, ROW] = [24, 17]; // pixels of a card, as its layout takes them

/** The colours of the style sheet as a canvas takes them: a name may stand for two, for light and for dark. */
function colours(probe) {
  const of = (name) => {
    probe.style.color = `var(--te-${name})`;
    return getComputedStyle(probe).color;
  };
  return Object.fromEntries(INKS.map((name) => [name, of(name)]));
}

/** Whether a box [left, top, right, bottom] is in the window at all. */
function within4(box, window) {
  return box[2] >= window[0] && box[0] <= window[2] && box[3] >= window[1] && box[1] <= window[3];
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

  /** The colours anew with the next picture: the theme may have changed. */
  repaint() {
    this.inks = null;
  }

  draw(view) {
    const ratio = globalThis.devicePixelRatio || 1;
    const { canvas } = this;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.inks ??= colours(this.probe);
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
    const window = [-view.x / view.scale, -view.y / view.scale, (view.width - view.x) / view.scale, (view.height - view.y) / view.scale];
    this.arrows(pen, view, window);
    if (view.scale < READABLE) this.small(pen, view, window);
  }

  /** All lines as one, then those of the selected variable, then those of the path. */
  arrows(pen, view, window) {
    const { path, closed, selected } = this.beliefs;
    const pairs = new Set(path.slice(1).map((v, i) => `${Math.min(v, path[i])},${Math.max(v, path[i])}`));
    const groups = { plain: [], own: [], path: [] };
    for (const route of this.routes) {
      const { tail, head } = route;
      if (!within4(route.reach, window)) continue;
      const on = pairs.size && pairs.has(`${Math.min(tail, head)},${Math.max(tail, head)}`);
      groups[on ? "path" : tail === selected || head === selected ? "own" : "plain"].push(route);
    }
    const far = view.scale < NAMED;
    const thin = far ? 0.6 / view.scale : Math.max(1.2, 0.8 / view.scale);
    this.strokes(pen, groups.plain, far ? this.inks.far : this.inks.line, thin, !far);
    this.strokes(pen, groups.own, this.inks.select, Math.max(1.6, 1.2 / view.scale), true);
    if (closed) pen.setLineDash([7, 5].map((length) => length * Math.max(1, 0.8 / view.scale)));
    this.strokes(pen, groups.path, closed ? this.inks.closed : this.inks.path, Math.max(3, 2.4 / view.scale), true);
    pen.setLineDash([]);
  }

  strokes(pen, routes, ink, width, heads) {
    if (!routes.length) return;
    Object.assign(pen, { strokeStyle: ink, fillStyle: ink, lineWidth: width });
    pen.beginPath();
    for (const route of routes) trace(pen, route.points);
    pen.stroke();
    if (!heads) return;
    pen.beginPath();
    for (const route of routes) if (route.directed) arrowhead(pen, route.points, 3 + width);
    pen.fill();
  }

  small(pen, view, window) {
    const { beliefs, inks } = this;
    const onPath = new Set(beliefs.path);
    const least = DOT / view.scale;
    this.boxes.forEach(([x, y, w, h], v) => {
      if (!within4([x - w / 2, y - h / 2, x + w / 2, y + h / 2], window)) return;
      const box = [x - Math.max(w, least) / 2, y - Math.max(h, least) / 2, Math.max(w, least), Math.max(h, least)];
      const given = beliefs.current.evidence.has(v);
      const chosen = v === beliefs.selected || onPath.has(v);
      pen.fillStyle = given ? inks.given : inks.card;
      pen.strokeStyle = chosen ? inks.select : given ? inks.mark : inks.edge;
      pen.lineWidth = (chosen || given ? 2.2 : 0.8) / Math.max(view.scale, given || chosen ? 0.02 : 0.2);
      pen.beginPath();
      pen.roundRect(...box, 6);
      pen.fill();
      pen.stroke();
      this.picture(pen, view, v, [x - w / 2, y - h / 2, w]);
    });
  }

  /** Bars, and from some size on the name, of a card as it would be. */
  picture(pen, view, v, [left, top, width]) {
    const { beliefs, inks } = this;
    const rows = beliefs.current.found?.marginals?.[v] ?? [];
    pen.fillStyle = view.scale < NAMED ? inks.bar : inks.fill;
    for (let s = 0; s < Math.min(rows.length, 6); s += 1) pen.fillRect(left + 4, top + HEAD + ROW * s, (width - 8) * rows[s], ROW - 3);
    if (view.scale < NAMED) return;
    pen.fillStyle = inks.ink;
    pen.font = "600 14px system-ui, sans-serif";
    pen.fillText(shortened(beliefs.model.variables[v].name, width), left + 6, top + 18, width - 12);
  }

  /** The variable at a place of the drawing, if any; `slack` pixels of the drawing beside it count. */
  under({ x, y }, slack = 0) {
    return this.boxes.findIndex(([cx, cy, w, h]) => Math.abs(x - cx) <= w / 2 + slack && Math.abs(y - cy) <= h / 2 + slack);
  }
}

function shortened(name, width) {
  const most = Math.floor(width / 7);
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** A route: points in pairs, straight through a layer, then a curve to the next that begins and ends upright. */
function trace(pen, points) {
  pen.moveTo(...points[0]);
  for (let i = 1; i < points.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    const middle = (y0 + y1) / 2;
    if (i % 2 === 1 && points.length > 2) pen.lineTo(x1, y1);
    else pen.bezierCurveTo(x0, middle, x1, middle, x1, y1);
  }
}

function arrowhead(pen, points, size) {
  const [x, y] = points[points.length - 1];
  const up = points[points.length - 2][1] > y ? -1 : 1;
  pen.moveTo(x, y);
  pen.lineTo(x - size, y - 2 * size * up);
  pen.lineTo(x + size, y - 2 * size * up);
  pen.closePath();
}
