// The page of a mixture: what components emit, and to which of them a row belongs.
import { button, certified, element, lastReply, later, percent } from "./base.js";
import { curvesOf } from "./charts.js";
import { emissionTable, sheet, swatch } from "./sheets.js";

const TYPED = 150; // milliseconds after a key until the answer is asked for

export class MixturePage {
  constructor(root, host) {
    Object.assign(this, { root, host, soon: later(TYPED) });
    const { model } = host;
    const names = model.weights.map((w, k) => `component ${k} (${percent(w)} %)`);
    const { body, warn } = sheet(root, model, `${model.kind} of ${names.length} components`);
    this.warn = warn;
    this.inputs = model.columns.map((own) => this.input(own));
    this.found = element("div", { class: "te-shares", "aria-live": "polite" });
    this.evidence = element("p", { class: "te-evidence", "data-log-evidence": "" });
    const lines = model.columns.map((own, j) => element("label", {}, element("span", { text: own.name }), this.inputs[j]));
    const row = element("section", {}, element("h2", { text: "A row" }), this.rows(model), element("div", { class: "te-row" }, ...lines), this.evidence, this.found);
    body.append(...(model.live ? [row] : []), emissionTable(model.columns, names, model.left_out), curvesOf(model.curves) ?? "");
    if (model.live) this.ask();
  }

  input(own) {
    const heard = { on: { input: () => this.soon(() => this.ask()) } };
    if (!own.states) return element("input", { type: "number", step: "any", placeholder: "not known", ...heard });
    const none = element("option", { value: "", text: "not known" });
    return element("select", heard, none, ...own.states.map((state, s) => element("option", { value: s, text: state })));
  }

  rows(model) {
    if (!model.rows.length) return null;
    const clear = button("nothing known", () => this.fill([]));
    const take = (i) => this.fill(model.rows[i]);
    const number = element("input", { type: "number", min: 1, max: model.rows.length, "aria-label": "number of a row of the data" });
    number.addEventListener("change", () => model.rows[number.value - 1] && take(number.value - 1));
    return element("p", {}, "row of the data ", number, ` of ${model.rows.length} `, clear);
  }

  fill(row) {
    this.inputs.forEach((input, j) => { input.value = row[j] ?? ""; });
    this.ask();
  }

  async ask() {
    const row = this.inputs.map((input) => (input.value === "" ? null : Number(input.value)));
    this.root.setAttribute("data-busy", "true");
    const reply = await lastReply(this.host, { verb: "infer", row }).catch((error) => ({ error: `no answer: ${error.message}` }));
    this.root.setAttribute("data-busy", "false");
    this.warn(reply.error ?? (reply.impossible ? "No component can have such a row: it has probability zero." : ""));
    if (!reply.components) return;
    this.evidence.textContent = `log p(row) = ${certified(reply.log_evidence)}`;
    this.found.replaceChildren(...reply.components.map((p, k) => share(`component ${k}`, p, k)));
  }

  close() {
    this.soon.cancel();
  }
}

/** A line with a bar. */
function share(name, p, k) {
  const fill = element("span", { class: `te-fill te-k${k % 8}`, style: { transform: `scaleX(${p})` } });
  const bar = element("span", { class: "te-bar" }, fill);
  return element("div", { class: "te-share", "data-component": k, "data-belief": p }, swatch(k), element("span", { text: name }), bar, element("span", { text: `${percent(p)} %` }));
}
