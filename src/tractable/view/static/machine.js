// The page of a machine or of layers: units, what hidden ones look for, prices, curves.
import { element } from "./base.js";
import { curvesOf, image } from "./charts.js";
import { sheet } from "./sheets.js";

export class MachinePage {
  constructor(root, { model }) {
    const units = model.groups.map((own) => `${own.n} ${own.name} (${own.kind})`).join(", ");
    const { body } = sheet(root, model, `${model.kind}: ${units}`);
    body.append(prices(model.prices), curvesOf(model.curves) ?? "", filters(model.filters) ?? "");
  }

  close() {}
}

function prices(plans) {
  const line = (plan) => element("tr", {}, element("th", { scope: "row", text: plan.query }), element("td", { text: plan.words }), element("td", { text: plan.why }));
  const head = element("tr", {}, ...["query", "price", "why"].map((text) => element("th", { scope: "col", text })));
  return element("section", {}, element("h2", { text: "What exact answers cost" }), element("div", { class: "te-wide" }, element("table", { class: "te-table" }, head, ...plans.map(line))));
}

function filters(found) {
  if (!found) return null;
  const shown = found.images.map((numbers, j) => image(numbers, found.shape, found.largest, `weights of hidden unit ${j}`));
  const more = found.left_out ? ` ${found.left_out} more units are left out.` : "";
  return element(
    "section",
    {},
    element("h2", { text: "What hidden units look for" }),
    element("p", { class: "te-hint", text: `Weights: red above zero, blue below, the darkest ${found.largest.toPrecision(3)}.${more}` }),
    element("div", { class: found.shape[0] === 1 ? "te-images te-flat" : "te-images" }, ...shown),
  );
}
