// The page of a hidden Markov model: the path over the data, how sure it is, and what comes next.
import { button, certified, element, lastReply } from "./base.js";
import { chart, curvesOf } from "./charts.js";
import { emissionTable, sheet, swatch } from "./sheets.js";

const WINDOW = 400; // rows that are shown at first
const AHEAD = 20;
const CHARTED = 6; // columns that are drawn

export class ChainPage {
  constructor(root, host) {
    Object.assign(this, { root, host });
    const { model } = host;
    this.names = model.first.map((_, k) => `state ${k}`);
    const n = model.lengths.length;
    const { body, warn } = sheet(root, model, `${model.kind} of ${this.names.length} states${n ? `, ${n} sequence${n > 1 ? "s" : ""}` : ""}`);
    this.warn = warn;
    this.charts = element("div", { class: "te-charts" });
    this.evidence = element("p", { class: "te-evidence", "data-log-evidence": "" });
    if (n && model.live) body.append(this.controls(model), this.evidence, this.charts);
    body.append(this.transitions(model), emissionTable(model.columns, this.names, model.left_out), curvesOf(model.curves) ?? "");
    if (n && model.live) this.ask();
  }

  controls(model) {
    const number = (value, most, words, least = 0) => {
      const input = element("input", { type: "number", min: least, max: most, value, "aria-label": words });
      input.addEventListener("change", () => this.ask());
      return input;
    };
    this.sequence = number(1, model.lengths.length, "sequence", 1);
    this.begin = number(0, Math.max(...model.lengths), "first row");
    this.rows = number(WINDOW, model.longest, "rows shown", 1);
    this.ahead = number(AHEAD, model.longest, "rows ahead");
    const move = (by) => () => {
      this.begin.value = Math.max(0, Number(this.begin.value) + by * Number(this.rows.value));
      this.ask();
    };
    const last = () => {
      this.begin.value = Math.max(0, model.lengths[this.sequence.value - 1] - this.rows.value);
      this.ask();
    };
    return element(
      "p",
      { class: "te-controls" },
      ...(model.lengths.length > 1 ? ["sequence ", this.sequence] : []),
      " from row ", this.begin, " so many ", this.rows, " and ahead ", this.ahead, " ",
      button("earlier", move(-1)), button("later", move(1)), button("the end", last),
    );
  }

  transitions(model) {
    const head = element("tr", {}, element("th", { text: "from \\ to" }), ...this.names.map((name, k) => element("th", { scope: "col" }, swatch(k), name)));
    const rows = model.transition.map((own, k) => element("tr", {}, element("th", { scope: "row" }, swatch(k), this.names[k]), ...own.map((p) => element("td", { text: p.toPrecision(3) }))));
    return element("section", {}, element("h2", { text: "Transitions" }), element("div", { class: "te-wide" }, element("table", { class: "te-table" }, head, ...rows)));
  }

  async ask() {
    const { lengths } = this.host.model;
    const at = (input, least, most) => Math.min(Math.max(Math.trunc(Number(input.value)) || 0, least), most);
    const sequence = at(this.sequence, 1, lengths.length) - 1;
    const begin = at(this.begin, 0, Math.max(lengths[sequence] - 1, 0));
    const end = Math.min(begin + at(this.rows, 1, this.host.model.longest), lengths[sequence]);
    const message = { verb: "window", sequence, begin, end, ahead: at(this.ahead, 0, this.host.model.longest) };
    this.root.setAttribute("data-busy", "true");
    const reply = await lastReply(this.host, message).catch((error) => ({ error: `no answer: ${error.message}` }));
    this.root.setAttribute("data-busy", "false");
    this.warn(reply.error ?? "");
    if (reply.error) return;
    this.evidence.textContent = `log p(sequence) = ${certified(reply.log_evidence)}`;
    this.show(reply);
  }

  show(reply) {
    const { columns } = this.host.model;
    const width = Math.max(this.charts.clientWidth, 300); // so that letters keep their size
    const rows = reply.path.map((_, t) => reply.begin + t);
    const after = (reply.ahead?.probabilities ?? []).map((_, t) => reply.begin + rows.length + t);
    const x = [reply.begin, reply.begin + Math.max(rows.length + after.length, 2) - 1];
    const spans = runs(reply.path).map(([from, to, k]) => ({ from: reply.begin + from - 0.5, to: reply.begin + to - 0.5, kind: `te-k${k % 8}`, words: `${this.names[k]}: rows ${reply.begin + from} to ${reply.begin + to - 1}` }));
    const drawn = columns.slice(0, CHARTED).map((own, j) => {
      const next = reply.ahead?.columns[j];
      const numbers = next && !next.states;
      const values = { x: rows, y: reply.values[j].map((v) => v ?? NaN), kind: "te-data" };
      const lines = numbers ? [values, { x: after, y: next.mean, kind: "te-next" }] : [values];
      const bands = numbers ? [{ x: after, low: next.low, high: next.high, kind: "te-next" }] : [];
      const told = own.states ? `, states ${own.states.map((state, s) => `${s} ${state}`).slice(0, 8).join(", ")}` : "";
      return figure(`${own.name}${told}`, chart({ label: `${own.name} with the most probable path as colours`, lines, bands, spans, x, width }));
    });
    const all = [...reply.probabilities, ...(reply.ahead?.probabilities ?? [])];
    const beliefs = this.names.map((_, k) => ({ x: [...rows, ...after], y: all.map((p) => p[k]), kind: `te-k${k % 8}` }));
    const sure = chart({ label: "how probable each state is", lines: beliefs, x, y: [0, 1], width });
    const key = element("p", { class: "te-key" }, ...this.names.flatMap((name, k) => [swatch(k), `${name} `]));
    const told = after.length ? "p(state | all rows), and beyond them" : "p(state | all rows)";
    this.charts.replaceChildren(key, ...drawn, figure(told, sure));
  }

  close() {}
}

function figure(caption, shown) {
  return element("figure", {}, element("figcaption", { text: caption }), shown);
}

/** Pieces of a path in which the state stays: from, to, state. */
function runs(path) {
  const found = [];
  path.forEach((k, t) => {
    const last = found[found.length - 1];
    if (last && last[2] === k) last[1] = t + 1;
    else found.push([t, t + 1, k]);
  });
  return found.filter(([, , k]) => k >= 0);
}
