// What all pages share: elements made of text alone, numbers in words, certificates in words.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "path", "line", "rect", "circle", "polyline", "polygon", "g", "text", "title"]);

/** An element; `text` is text whatever it says, `on` are listeners, `style` goes through the object model, which a policy allows. */
export function element(tag, given = {}, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "on") for (const [type, heard] of Object.entries(value)) made.addEventListener(type, heard);
    else if (name === "style") for (const [key, own] of Object.entries(value)) made.style.setProperty(key, own);
    else made.setAttribute(name, value === true ? "" : value);
  }
  fill(made, children, true);
  return made;
}

/** The children of an element; those that are missing are left out. */
export function fill(parent, children, more = false) {
  const there = children.filter((child) => child !== null && child !== undefined && child !== false && child !== "");
  if (more) parent.append(...there);
  else parent.replaceChildren(...there);
  return parent;
}

/** A button with words for those who see it and, where these are only a sign, for those who hear it. */
export function button(words, heard, given = {}) {
  return element("button", { type: "button", text: words, on: { click: heard }, ...given });
}

/** A number as it came: infinite ones are text. */
export function numeric(value) {
  return value === "inf" ? Infinity : value === "-inf" ? -Infinity : value === null ? NaN : value;
}

/** A probability as a percentage with one digit; what rounds to nothing or to all, but is neither, says so. */
export function percent(p) {
  if (p === null || p === undefined || Number.isNaN(p)) return "?";
  if (p > 0 && p < 0.0005) return "<0.1";
  if (p < 1 && p > 0.9995) return ">99.9";
  return (100 * p).toFixed(1);
}

/** A number to so many digits, the minus sign a minus sign. */
export function digits(value, n = 5) {
  const x = numeric(value);
  if (Number.isNaN(x)) return "?";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  const shown = size !== 0 && (size < 1e-4 || size >= 1e7) ? x.toExponential(n - 1) : String(Number(x.toPrecision(n)));
  return shown.replace("-", "−");
}

const ROUNDING = 1e-12; // of a logarithm, what sums of numbers near one come to

/** A certified logarithm in words. */
export function certified(found, n = 5) {
  if (!found) return "?";
  const value = Math.abs(found.value) < ROUNDING ? "0" : digits(found.value, n);
  if (found.kind === "exact") return `${value}, exact`;
  return `${value} [${digits(found.lower, n)}, ${digits(found.upper, n)}], ${sure(found)}`;
}

/** What an interval rests on. */
export function sure(found) {
  return found.confidence ? `${found.kind} at ${Number((100 * found.confidence).toPrecision(4))} %` : found.kind;
}

/** The parts of a certified logarithm: its number, and a mark that says what it rests on. */
export function marked(found, n = 5) {
  if (found.kind === "exact") return [Math.abs(found.value) < ROUNDING ? "0" : digits(found.value, n), " ", badge("exact")];
  return [`${digits(found.value, n)} [${digits(found.lower, n)}, ${digits(found.upper, n)}] `, badge(sure(found), found.kind)];
}

/** The kind of a certificate as a mark: words, and a colour for those who know it. */
export function badge(words, kind = words) {
  return element("span", { class: `te-badge te-${kind}`, text: words });
}

/** Seconds that something took. */
export function took(seconds) {
  if (seconds < 0.00095) return `${Number((1e6 * seconds).toPrecision(2))} µs`;
  return seconds < 1 ? `${Number((1e3 * seconds).toPrecision(2))} ms` : `${Number(seconds.toPrecision(2))} s`;
}

/** The same work later, and only the last of those asked for: `soon(work)`; `soon.cancel()`. */
export function later(wait) {
  let timer = 0;
  const soon = (work) => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
  soon.cancel = () => clearTimeout(timer);
  return soon;
}

/** The same work with the next picture, once however often it is asked for. */
export function nextFrame(work) {
  let asked = 0;
  return () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      work();
    });
  };
}

/** The only reply to a message, or the last. */
export async function lastReply(host, message, signal) {
  let found = null;
  for await (const reply of host.ask(message, signal)) found = reply;
  return found;
}
