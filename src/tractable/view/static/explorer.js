// The explorer: the page of a model, whatever its family, inside of an element.
//
// What tests hold on to: on cards data-variable, on rows of states data-state with data-belief (data-belief-b of hypothesis B) to all digits,
// data-busy on the root, the price in [data-price] (the number of its variable), [data-log-evidence], [role=alert]; on the root `store` and `page`.
import { element } from "./base.js";
import { ChainPage } from "./chain.js";
import { MachinePage } from "./machine.js";
import { MixturePage } from "./mixture.js";
import { NetworkPage } from "./network.js";

const PAGES = { network: NetworkPage, hidden_markov: ChainPage, mixture: MixturePage, machine: MachinePage };

/** Builds the page of `host.model` in `root`; returns a function that takes it away again. */
export function explorer(root, host) {
  const inside = element("div", { class: "tractable-explorer", "data-busy": "false" });
  root.replaceChildren(inside);
  const Page = PAGES[host.model.family];
  const page = new Page(inside, host);
  return () => {
    page.close();
    inside.remove();
  };
}
