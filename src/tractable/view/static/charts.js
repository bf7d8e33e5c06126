// Charts of numbers as they came: lines, bands, images. Scales are all that is worked out here.
import { digits, element } from "./base.js";

const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };
const TICKS = 4;

/** Round numbers between two ends. */
function ticks(low, high) {
  const step = 10 ** Math.floor(Math.log10((high - low) / TICKS));
  const width = [1, 2, 5, 10].map((k) => k * step).find((own) => (high - low) / own <= TICKS + 1);
  const found = [];
  for (let k = Math.ceil(low / width); k * width <= high; k += 1) found.push(k * width);
  return found;
}

/** The ends of some numbers with a little room; something where they are all alike. */
function reach(values) {
  const known = values.filter((x) => Number.isFinite(x));
  const [low, high] = known.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  if (!known.length) return [0, 1];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 0.5;
  return [low - room, high + room];
}

/**
 * A chart of lines [{x, y, kind}], bands [{x, low, high, kind}] and spans of the ground [{from, to, kind, words}]; kinds
 * are classes of the style sheet. Where a number is missing a line is interrupted.
 */
export function chart({ label, width = 640, height = 150, lines = [], bands = [], spans = [], x, y }) {
  const xs = x ?? reach([...lines, ...bands].flatMap((own) => own.x));
  const ys = y ?? reach([...lines.flatMap((own) => own.y), ...bands.flatMap((own) => [...own.low, ...own.high])]);
  const across = (v) => MARGIN.left + ((v - xs[0]) / (xs[1] - xs[0] || 1)) * (width - MARGIN.left - MARGIN.right);
  const down = (v) => height - MARGIN.bottom - ((v - ys[0]) / (ys[1] - ys[0] || 1)) * (height - MARGIN.top - MARGIN.bottom);
  const root = element("svg", { viewBox: `0 0 ${width} ${height}`, class: "te-chart", role: "img", "aria-label": label });
  for (const { from, to, kind, words } of spans) {
    const box = { x: across(from), width: Math.max(across(to) - across(from), 0), y: MARGIN.top, height: height - MARGIN.top - MARGIN.bottom };
    root.append(element("rect", { ...box, class: `te-span ${kind}` }, element("title", { text: words })));
  }
  for (const v of ticks(...ys)) root.append(rule(MARGIN.left, width - MARGIN.right, down(v), digits(v, 3)));
  for (const v of ticks(...xs)) {
    root.append(element("text", { x: across(v), y: height - 6, class: "te-tick te-middle", text: digits(v, 6) }));
  }
  for (const own of bands) root.append(element("path", { d: area(own, across, down), class: `te-area ${own.kind}` }));
  for (const own of lines) root.append(element("path", { d: line(own, across, down), class: `te-line ${own.kind}` }));
  return root;
}

function rule(left, right, at, words) {
  return element(
    "g",
    {},
    element("line", { x1: left, x2: right, y1: at, y2: at, class: "te-rule" }),
    element("text", { x: left - 6, y: at + 4, class: "te-tick te-end", text: words }),
  );
}

function line({ x, y }, across, down) {
  let up = true;
  return x.map((v, i) => {
    if (!Number.isFinite(y[i])) {
      up = true;
      return "";
    }
    const sign = up ? "M" : "L";
    up = false;
    return `${sign}${across(v).toFixed(1)} ${down(y[i]).toFixed(1)}`;
  }).join("");
}

function area({ x, low, high }, across, down) {
  const at = x.map((v, i) => [v, low[i], high[i]]).filter(([, a, b]) => Number.isFinite(a) && Number.isFinite(b));
  const there = at.map(([v, , b]) => `${across(v).toFixed(1)} ${down(b).toFixed(1)}`);
  const back = at.map(([v, a]) => `${across(v).toFixed(1)} ${down(a).toFixed(1)}`).reverse();
  return at.length ? `M${[...there, ...back].join("L")}Z` : "";
}

/** Numbers as a picture: blue below zero, red above, white between. */
export function image(numbers, [high, wide], largest, label) {
  const canvas = element("canvas", { width: wide, height: high, class: "te-image", role: "img", "aria-label": label });
  const pen = canvas.getContext("2d");
  const pixels = pen.createImageData(wide, high);
  numbers.forEach((value, i) => {
    const share = Math.min(Math.abs(value) / (largest || 1), 1);
    const far = value < 0 ? [33, 102, 172] : [178, 24, 43];
    for (let c = 0; c < 3; c += 1) pixels.data[4 * i + c] = 255 + share * (far[c] - 255);
    pixels.data[4 * i + 3] = 255;
  });
  pen.putImageData(pixels, 0, 0);
  return canvas;
}

/** The curves of a fit: each with its interval. */
export function curvesOf(curves) {
  if (!curves.length) return null;
  const parts = curves.map(({ name, points }) => {
    const [x, y] = [points.map((p) => p.at), points.map((p) => p.value)];
    const ends = points.some((p) => Number.isFinite(p.lower) && p.lower < p.value);
    const bands = ends ? [{ x, low: points.map((p) => p.lower), high: points.map((p) => p.upper), kind: "te-k0" }] : [];
    const last = points[points.length - 1];
    const shown = chart({ label: `${name} over the fit`, lines: [{ x, y, kind: "te-k0" }], bands });
    return element("figure", {}, element("figcaption", { text: `${name}: ${digits(last.value)} (${last.kind})` }), shown);
  });
  return element("section", { class: "te-curves" }, element("h2", { text: "How the fit went" }), ...parts);
}
