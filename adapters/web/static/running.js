// The executions: those that are being worked, against their schedule, and those that finished of late.

import { $, attribute, cell, h, keyed, row, show, text } from "/ui/static/dom.js";
import { amount, bps, clock, day, duration, fees, percent, price, quantity, seconds, tone, words } from "/ui/static/format.js";

/** Draws both tables; `choose(id)` is called when one is picked, `ask(verb, view)` when something shall be done to it. */
export class Executions {
  constructor({ choose, ask }) {
    this.choose = choose;
    this.ask = ask;
  }

  draw(view, chosen) {
    const now = seconds(view.now);
    text($("running-count"), view.running.length ? String(view.running.length) : "");
    show($("running-none"), !view.running.length);
    show($("running-table"), view.running.length > 0);
    keyed($("running-table").tBodies[0], view.running.map((one) => ({ one, now, chosen })), ({ one }) => one.execution_id,
      ({ one }) => this.#runningRow(one));
    text($("closed-count"), view.closed.length ? String(view.closed.length) : "");
    show($("closed"), view.closed.length > 0);
    keyed($("closed-table").tBodies[0], view.closed.map((one) => ({ one, chosen })), ({ one }) => one.execution_id,
      ({ one }) => this.#closedRow(one));
  }

  #order(one) {
    return h("button", { type: "button", class: "link", onclick: () => this.choose(one.execution_id) },
      h("span", { class: `side-${one.side}` }, one.side), ` ${amount(one.quantity)} ${one.symbol}`);
  }

  #runningRow(first) {
    const bar = h("span", { class: "done" });
    const due = h("span", { class: "due" });
    const track = h("span", { class: "track", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": `Filled of ${first.symbol} ${first.execution_id}` }, bar, due);
    const done = h("span"), pace = h("span", { class: "under" });
    const average = h("span"), arrival = h("span", { class: "under" });
    const arrivalCost = h("span"), twapCost = h("span");
    const next = h("span"), waiting = h("span", { class: "under waits" });
    const state = h("span", { class: "pill" }), children = h("span", { class: "under" });
    const button = (verb, label, props = {}) => h("button", { type: "button", "aria-label": `${label} ${first.side} ${first.symbol} ${first.execution_id}`, ...props, onclick: () => this.ask(verb, first) }, label);
    const pause = button("pause", "Pause"), resume = button("resume", "Resume"), cancel = button("cancel", "Cancel");
    const made = row(
      cell("Order", { class: "whole", "data-wide": "" }, this.#order(first), h("span", { class: "under mono" }, first.execution_id)),
      cell("Progress", { "data-wide": "" }, done, track, pace),
      cell("Average", { class: "num" }, average, arrival),
      cell("vs arrival", { class: "num" }, arrivalCost, unit()),
      cell("vs TWAP", { class: "num" }, twapCost, unit()),
      cell("Next child", {}, next, waiting),
      cell("State", { class: "whole" }, state, children),
      cell("", { class: "act", "data-wide": "" }, h("span", { class: "row-actions" }, pause, resume, cancel)),
    );
    made.update = ({ one, now, chosen }) => {
      attribute(made, "aria-current", one.execution_id === chosen ? "true" : null);
      const share = percent(one.total_filled, one.quantity);
      text(done, `${quantity(one.total_filled)} of ${amount(one.quantity)} (${share})`);
      attribute(track, "aria-valuenow", Math.round(Number(one.progress) * 100));
      attribute(track, "aria-valuetext", `${share} filled, ${paceWords(one)}`);
      bar.style.width = `${Math.min(100, Number(one.progress) * 100)}%`;
      const planned = one.scheduled === null ? null : (Number(one.scheduled) / Number(one.quantity)) * 100;
      show(due, planned !== null);
      if (planned !== null) due.style.left = `${Math.min(100, planned)}%`;
      text(pace, paceWords(one));
      text(average, price(one.average_price));
      attribute(average, "title", one.average_price);
      text(arrival, `arrival ${price(one.arrival_price)}`);
      text(arrivalCost, bps(one.arrival_slippage_bps));
      text(twapCost, bps(one.interval_twap_bps));
      text(next, nextWords(one, now));
      text(waiting, one.waiting);
      attribute(waiting, "data-calm", isCalm(one));
      text(state, words(one.state));
      attribute(state, "data-tone", one.unknown_children ? "bad" : tone(one.state));
      text(children, childWords(one));
      show(pause, one.state === "RUNNING" || one.state === "ACCEPTED");
      show(resume, one.state === "PAUSED");
      show(cancel, one.state !== "CANCELLING" && one.state !== "QUARANTINED");
    };
    return made;
  }

  #closedRow(one) {
    const made = row(
      cell("Order", { class: "whole", "data-wide": "" }, this.#order(one), h("span", { class: "under mono" }, one.execution_id)),
      cell("Outcome", {}, h("span", { class: "pill", "data-tone": tone(one.stop_reason) ?? "warn" }, words((one.stop_reason ?? "").split(":")[0]))),
      cell("Filled", { class: "num" }, `${quantity(one.total_filled)} (${percent(one.total_filled, one.quantity)})`),
      cell("Average", { class: "num" }, price(one.average_price)),
      cell("vs arrival", { class: "num" }, bps(one.arrival_slippage_bps), unit()),
      cell("Fees", { class: "num" }, fees(one.total_fees)),
      cell("Ended", { class: "num" }, clock(one.closed_at), h("span", { class: "under" }, day(one.closed_at))),
    );
    made.update = ({ one: now, chosen }) => attribute(made, "aria-current", now.execution_id === chosen ? "true" : null);
    return made;
  }
}

/** The unit of a cost, where there is no head of a column to say it. */
function unit() {
  return h("span", { class: "unit" }, " bps");
}

export function paceWords(one) {
  if (one.scheduled === null || one.scheduled === undefined) return "no schedule yet";
  const behind = Number(one.behind);
  if (behind === 0) return "on schedule";
  return behind > 0 ? `${quantity(one.behind)} behind` : `${quantity(one.behind.replace("-", ""))} ahead`;
}

/** Whether what is waited for is only a child order at work, which is as it should be. */
export function isCalm(one) {
  return one.state === "RUNNING" && one.open_children > 0 && !one.unknown_children;
}

function nextWords(one, now) {
  if (one.next_child_at) return `in ${duration(seconds(one.next_child_at) - now)}`;
  return one.waiting && !one.open_children && one.state !== "CANCELLING" ? "on hold" : "none left";
}

function childWords(one) {
  if (one.unknown_children) return `${one.unknown_children} of unknown outcome`;
  const sent = `${one.children_sent} sent`;
  const skipped = one.slots_skipped ? `, ${one.slots_skipped} skipped` : "";
  return one.open_children ? `${sent}, ${one.open_children} open${skipped}` : `${sent}${skipped}`;
}
