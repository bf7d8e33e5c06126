// What pages of columns share: a head, tables of what components emit, messages.
import { digits, element, percent } from "./base.js";

/** The frame of a page without a graph. */
export function sheet(root, model, told) {
  const alert = element("div", { class: "te-alert", role: "alert" });
  const body = element("main", { class: "te-sheet" });
  const head = element("header", { class: "te-top" }, element("h1", { text: model.name || model.kind }), element("span", { class: "te-hint", text: told }));
  root.append(head, alert, body);
  return { body, warn: (words) => alert.replaceChildren(...(words ? [element("span", { text: words })] : [])) };
}

/** What each component, or state, emits in each column. */
export function emissionTable(columns, names, leftOut) {
  const head = element("tr", {}, element("th", { text: "" }), ...names.map((name, k) => element("th", { scope: "col" }, swatch(k), name)));
  const rows = columns.map((own) => element("tr", {}, element("th", { scope: "row", text: own.name }), ...names.map((_, k) => element("td", { text: cell(own, k) }))));
  const more = leftOut ? element("p", { class: "te-hint", text: `${leftOut} more columns are left out.` }) : null;
  return element("section", {}, element("h2", { text: "What each emits" }), element("div", { class: "te-wide" }, element("table", { class: "te-table" }, head, ...rows)), more);
}

/** The colour of a component. */
export function swatch(k) {
  return element("span", { class: `te-swatch te-k${k % 8}`, "aria-hidden": "true" });
}

function cell(own, k) {
  if (!own.states) return `${digits(own.mean[k], 4)} ± ${digits(own.deviation[k], 3)}`;
  const order = own.probabilities[k].map((p, s) => [p, s]).sort(([a], [b]) => b - a);
  return order.slice(0, 3).map(([p, s]) => `${own.states[s]} ${percent(p)} %`).join(", ") + (order.length > 3 ? ", …" : "");
}
