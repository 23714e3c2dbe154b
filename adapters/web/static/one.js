// One execution: its figures, price and fills, schedule against fills, its children, its report.

import { look } from "/ui/static/api.js";
import { PriceChart, ScheduleChart } from "/ui/static/charts.js";
import { $, attribute, cell, figures, h, keyed, row, show, text } from "/ui/static/dom.js";
import { amount, bps, brief, clock, duration, fees, moment, percent, price, quantity, seconds, tone, words } from "/ui/static/format.js";
import { isCalm, paceWords } from "/ui/static/running.js";

const FEW = 10;
const FEW_ON_A_PHONE = 3;
const phone = matchMedia("(max-width: 720px)");

export class One {
  constructor() {
    this.id = null;
    this.view = null;
    this.price = new PriceChart($("price-chart"));
    this.schedule = new ScheduleChart($("schedule-chart"));
    this.asking = false;
    this.all = false;
    phone.addEventListener("change", () => this.view && this.#children());
    $("children-all").addEventListener("click", () => {
      this.all = true;
      this.#children();
      $("children-table").focus();
    });
  }

  /** Show this execution from now on; null for none. */
  choose(id) {
    if (id === this.id) return;
    this.id = id;
    this.all = false;
    this.view = null;
    this.stale = true;
    show($("one"), false);
  }

  /** Facts of some executions have come. */
  touched(ids) {
    if (ids.has(this.id)) this.stale = true;
  }

  /** Draw what is new; asks for the view again if facts have come since. */
  async draw(state) {
    if (this.id === null) return;
    const symbol = this.view?.symbol;
    const touch = state.vitals.market.symbols[symbol];
    if (!this.stale) {
      if (this.view && !this.view.report) {
        const summary = state.running.find((one) => one.execution_id === this.id);
        if (summary) {
          Object.assign(this.view, summary);
          this.#figures(seconds(state.now));
        }
        if (touch) this.price.tick(seconds(state.now) - touch.age, touch); // Not drawn on when nothing is heard.
        this.schedule.draw(this.view, seconds(state.now));
      }
      return;
    }
    if (this.asking) return;
    this.asking = true;
    const id = this.id;
    try {
      this.stale = false;
      const view = await look(`/ui/executions/${encodeURIComponent(id)}`);
      const fresh = this.view === null;
      const prices = fresh ? (await look(`/ui/prices/${encodeURIComponent(view.symbol)}`)).prices : null;
      if (id !== this.id) return;
      this.view = view;
      show($("one"), true);
      this.#figures(seconds(state.now));
      this.#children();
      this.#report();
      this.price.draw(view, prices, seconds(state.now));
      this.schedule.draw(view, seconds(state.now));
    } catch (error) {
      if (error.status === 404) this.choose(null);
      else this.stale = true;
    } finally {
      this.asking = false;
    }
  }

  repaint() {
    this.price.repaint();
    this.schedule.repaint();
  }

  #figures(now) {
    const one = this.view;
    text($("one-title"), `${one.side} ${amount(one.quantity)} ${one.symbol}`);
    const ended = one.closed_at ? seconds(one.closed_at) : now;
    figures($("one-figures"), [
      ["Execution", one.execution_id],
      ["State", one.report ? words(one.stop_reason?.split(":")[0]) : words(one.state)],
      ["Filled", `${quantity(one.total_filled)} (${percent(one.total_filled, one.quantity)})`],
      ["Pace", one.report ? `${one.report.chunks_executed} of ${one.report.total_chunks} slices` : paceWords(one)],
      ["Average", price(one.average_price)],
      ["Arrival", price(one.arrival_price)],
      ["vs arrival", cost(one.arrival_slippage_bps)],
      ["vs interval TWAP", cost(one.report ? one.report.interval_twap_bps : one.interval_twap_bps)],
      ["Limit", price(one.limit_price)],
      ["Fees", fees(one.total_fees)],
      [one.report ? "Took" : "Running for", duration(ended - seconds(one.accepted_at))],
      ["Signal", [one.source, one.signal_id].filter(Boolean).join(" / ") || one.label],
    ]);
    const why = one.report ? (one.stop_reason?.startsWith("COMPLETED") ? null : `Stopped early. ${one.stop_reason}`) : isCalm(one) ? null : one.waiting;
    show($("one-waiting"), Boolean(why));
    text($("one-waiting"), why ? (one.report ? why : standing(one, why)) : "");
  }

  #children() {
    const { children } = this.view;
    const newestFirst = [...children].reverse().slice(0, this.all ? 100 : phone.matches ? FEW_ON_A_PHONE : FEW);
    text($("children-none"), this.view.report ? "No child order was sent." : "No child order yet.");
    show($("children-none"), !children.length);
    show($("children-all"), children.length > newestFirst.length && !this.all);
    text($("children-all"), `Show ${children.length > 100 ? "the last 100" : `all ${children.length}`} child orders`);
    show($("children-table"), children.length > 0);
    keyed($("children-table").tBodies[0], newestFirst, (child) => child.client_order_id, childRow);
  }

  #report() {
    const one = this.view, { report } = one;
    show($("report"), Boolean(report));
    if (!report) return;
    figures($("report-figures"), [
      ["Outcome", report.stop_reason],
      ["Filled", `${quantity(report.total_filled)} of ${amount(report.quantity)}`],
      [one.side === "BUY" ? "Paid" : "Received", price(report.filled_quote)],
      ["Average", price(report.average_price)],
      ["Interval TWAP", price(report.interval_twap_price)],
      ["Arrival slippage", cost(report.arrival_slippage_bps)],
      ["Against signal's price", report.slippage_percent === null ? "–" : `${bps(report.slippage_percent)} %`],
      ["Fees", fees(report.total_fees)],
      ["Fees in bps", bps(report.fees_bps)],
      ["Children sent", String(report.children_sent)],
      ["Waited for guards", waits(report)],
      ...(report.children_rested ? [["Rested in the book", `${report.children_rested} children, ${quantity(report.maker_filled)} made`]] : []),
      ...(report.timing_waits ? [["Waited for the pressure", `${duration(Number(report.timing_seconds))}, moved ${cost(report.timing_bps)}`]] : []),
      ...(Number(report.swept) ? [["Swept up at the end", quantity(report.swept)]] : []),
      ...(report.participation ? [["Share of the market", percent(report.participation, "1")]] : []),
      ["Began", moment(report.started_at)],
      ["Ended", moment(report.ended_at)],
    ]);
  }
}

/** What holds a running execution up: a state of its own, or something that it waits for. */
function standing(one, why) {
  return why.startsWith(words(one.state)) ? `${why[0].toUpperCase()}${why.slice(1)}` : `Waiting: ${why}`;
}

function waits(report) {
  const each = (report.guard_waits_by ?? []).map(([guard, times, spent]) => `${guard} ${duration(Number(spent))} (${times})`);
  return [duration(Number(report.guard_wait_seconds)), ...each].join(", ");
}

function childRow(first) {
  const state = h("span", { class: "pill" }), failure = h("span", { class: "under" });
  const filled = h("span"), average = h("span"), paid = h("span");
  const trail = h("ul", { class: "trail" });
  const limit = first.limit_price === null ? first.order_type : `${first.order_type} ${first.time_in_force ?? ""}`;
  const made = row(
    cell("Slice", { class: "whole" }, h("strong", {}, `${first.slice + 1}${first.attempt ? `, attempt ${first.attempt + 1}` : ""}`), h("span", { class: "under" }, clock(first.intended_at))),
    cell("Order", {}, `${quantity(first.quantity)}${first.limit_price === null ? "" : ` at ${price(first.limit_price)}`}`, h("span", { class: "under mono" }, `${limit} ${first.client_order_id}`)),
    cell("State", {}, state, failure),
    cell("Filled", { class: "num" }, filled),
    cell("Average", { class: "num" }, average),
    cell("Fees", { class: "num" }, paid),
    cell("Learnt", {}, trail),
  );
  made.update = (child) => {
    text(state, words(child.state));
    attribute(state, "data-tone", tone(child.state));
    text(failure, child.failure_reason);
    text(filled, `${quantity(child.executed_quantity)} (${percent(child.executed_quantity, child.quantity)})`);
    text(average, price(child.average_price));
    text(paid, fees(child.fees));
    keyed(trail, steps(child), (step) => step.key, (step) => {
      const source = h("b"), rest = h("span");
      const item = h("li", {}, rest, source);
      item.update = (now) => {
        text(rest, `${now.name}${now.count > 1 ? ` ×${now.count}` : ""} ${now.source ? "by " : ""}`);
        text(source, `${now.source}${now.source ? " " : ""}+${brief(now.after)}`);
      };
      return item;
    });
  };
  return made;
}

function cost(value) {
  return value === null || value === undefined ? "–" : `${bps(value)} bps`;
}

const NAMES = {
  ChildAcknowledged: "taken", TradeBooked: "trade", ChildClosed: "closed", ChildRefused: "refused", ChildNotSent: "not sent",
  ChildUnknown: "outcome unknown", ChildAbsent: "proven absent", ChildCancelRequested: "cancel asked", AttemptReappeared: "reappeared",
};

/** What was learnt of a child, trades by the same way in one step. */
function steps(child) {
  const began = seconds(child.intended_at);
  const said = [];
  for (const [at, kind, source] of child.history) {
    const last = said.at(-1);
    const after = seconds(at) - began;
    if (last && kind === "TradeBooked" && last.kind === kind && last.source === source) {
      last.count += 1;
      last.after = after;
    } else {
      said.push({ key: `${said.length}${kind}`, kind, name: NAMES[kind] ?? kind, source, after, count: 1 });
    }
  }
  return said;
}
