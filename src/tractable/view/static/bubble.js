// What a click would cost, beside the state that the pointer or the focus is on.
import { button, element } from "./base.js";

const GRACE = 220; // milliseconds from a state to the buttons beside it
const AWAY = 10; // pixels from the card

/** The price beside a row of the page; where it is high, what else there is, as buttons. */
export class PriceBubble {
  constructor(ground, beliefs) {
    Object.assign(this, { ground, beliefs, row: null });
    this.root = element("div", { class: "te-bubble", hidden: true });
    this.root.addEventListener("pointerenter", () => clearTimeout(this.leaving));
    this.root.addEventListener("pointerleave", () => this.leave());
    this.root.addEventListener("pointerdown", (event) => event.stopPropagation());
    ground.append(this.root);
  }

  /** The row that the pointer or the focus is on. */
  at(row, v, s) {
    clearTimeout(this.leaving);
    this.row = row;
    this.beliefs.price(v, s);
  }

  leave() {
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.root.contains(document.activeElement) || this.beliefs.quiet(), GRACE);
  }

  hide() {
    if (this.root.contains(document.activeElement)) this.row?.focus({ preventScroll: true });
    this.root.hidden = true;
  }

  /** Whether there are choices beside a row. */
  offersTo(row) {
    return !this.root.hidden && row === this.row && this.root.querySelector("button") !== null;
  }

  enter() {
    this.root.querySelector("button").focus();
  }

  /** A price, or null where none is wanted any more. */
  show(price) {
    if (!price || !this.row?.isConnected || !this.ground.contains(this.row)) return this.hide();
    const { v, s, back, plan, ladder } = price;
    const { found } = this.beliefs.current;
    const impossible = !back && !found?.ends && found?.marginals?.[v]?.[s] === 0 && !this.beliefs.current.evidence.has(v);
    const rungs = ladder.filter((rung) => rung.seconds);
    const offered = rungs.map((rung) => this.rung(rung, v, s));
    const words = impossible ? "cannot be: probability zero" : `${back ? "take it back: " : ""}${plan.words}`;
    this.root.replaceChildren(element("b", { text: words }), ...offered);
    this.root.classList.toggle("te-offers", offered.length > 0);
    this.root.hidden = false;
    this.place();
    return undefined;
  }

  rung({ words, seconds, certificate, note }, v, s) {
    const chosen = () => {
      const { row } = this;
      this.beliefs.toggle(v, s, seconds);
      row?.focus({ preventScroll: true });
    };
    return button(words.startsWith(certificate) ? words : `${words}, ${certificate}`, chosen, { class: "te-rung", title: note });
  }

  /** Beside the card of the row, on the side where there is room. */
  place() {
    const ground = this.ground.getBoundingClientRect();
    const row = this.row.getBoundingClientRect();
    const own = this.root.getBoundingClientRect();
    const right = row.right - ground.left + AWAY;
    const left = row.left - ground.left - AWAY - own.width;
    const beside = right + own.width <= ground.width ? right : left >= 0 ? left : Math.max(ground.width - own.width - 4, 0);
    const under = right + own.width > ground.width && left < 0 ? row.height + 4 : 0;
    const top = Math.min(row.top - ground.top + under, ground.height - own.height - 4);
    this.root.style.setProperty("left", `${beside}px`);
    this.root.style.setProperty("top", `${Math.max(top, 4)}px`);
  }
}
