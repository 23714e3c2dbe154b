// Signals, alerts, the journal's tail, and health.

import { $, attribute, cell, figures, h, keyed, row, show, text } from "/ui/static/dom.js";
import { amount, brief, clock, day, moment, price, tone, words } from "/ui/static/format.js";

export function drawSignals(signals, choose) {
  show($("signals-none"), !signals.length);
  show($("signals-table"), signals.length > 0);
  text($("signals-count"), signals.length ? `the last ${signals.length}` : "");
  const occurrences = new Map();
  const items = [...signals].reverse().map((one) => {
    const key = `${one.at} ${one.label} ${one.status}`;
    const count = (occurrences.get(key) ?? 0) + 1;
    occurrences.set(key, count);
    return { ...one, key: `${key} ${count}` };
  }).reverse();
  keyed($("signals-table").tBodies[0], items, (one) => one.key, (one) => {
    const of = one.execution_id ?? one.duplicate_of;
    const asked = one.quantity === null ? `${amount(one.quote_quantity)} worth of` : amount(one.quantity);
    return row(
      cell("At", {}, clock(one.at), h("span", { class: "under" }, day(one.at))),
      cell("Signal", {}, h("span", { class: `side-${one.side}` }, one.side), ` ${asked} ${one.symbol}${one.price ? ` at ${price(one.price)}` : ""}`,
        h("span", { class: "under mono" }, [one.source, one.id].filter(Boolean).join(" / ") || one.label)),
      cell("Verdict", {}, h("span", { class: "pill", "data-tone": tone(one.status) }, one.status)),
      cell(reason(one) ? "Reason" : "Execution", {}, reason(one), of ? h("button", { type: "button", class: "link under mono", onclick: () => choose(of) }, of) : null),
    );
  });
}

function reason(one) {
  if (one.status === "accepted") return "";
  const times = one.count > 1 ? ` (${one.count} times)` : "";
  return `${words(one.reason)}${one.detail ? `: ${one.detail}` : ""}${times}`;
}

export function drawAlerts(alerts, choose) {
  const standing = alerts.filter((alert) => alert.cleared_at === null).length;
  text($("alerts-count"), standing ? `${standing} standing` : "");
  show($("alerts-none"), !alerts.length);
  show($("alerts-list"), alerts.length > 0);
  keyed($("alerts-list"), alerts, (alert) => `${alert.kind} ${alert.subject} ${alert.raised_at}`, (alert) => {
    const when = h("span", { class: "under" });
    const item = h("li", {},
      h("span", { class: "pill", "data-tone": tone(alert.level) }, alert.level),
      h("span", {}, h("strong", {}, words(alert.kind)), ` ${alert.text}`),
      h("span", {}, when, alert.execution_id ? h("button", { type: "button", class: "link under mono", onclick: () => choose(alert.execution_id) }, alert.execution_id) : null));
    item.update = (now) => {
      attribute(item, "data-over", now.cleared_at === null ? null : "true");
      text(when, now.cleared_at === null ? `since ${moment(now.raised_at)}` : `${moment(now.raised_at)} to ${moment(now.cleared_at)}`);
    };
    return item;
  });
}

const TAIL = 200;

export class Journal {
  constructor() {
    this.list = $("journal-tail");
  }

  clear() {
    this.list.replaceChildren();
  }

  skipped(count) {
    this.clear();
    this.list.append(h("li", { class: "muted" }, h("span"), h("span"), h("span", { class: "type" }, `${count} facts not shown`)));
  }

  add(events) {
    for (const { seq, type, fact } of events.slice(-TAIL)) {
      this.list.prepend(h("li", { "data-seq": seq },
        h("span", { class: "seq" }, String(seq)), h("span", { class: "at", title: day(fact.at) }, clock(fact.at)),
        h("span", { class: "type" }, type), h("span", { class: "what" }, summary(type, fact))));
    }
    while (this.list.childElementCount > TAIL) this.list.lastElementChild.remove();
    text($("journal-seq"), `up to fact ${events.at(-1).seq}`);
  }
}

function summary(type, fact) {
  switch (type) {
    case "TradeBooked": return `${fact.side} ${amount(fact.quantity)} ${fact.symbol} at ${amount(fact.price)}, by ${fact.source}`;
    case "ChildIntended": return `${fact.side} ${amount(fact.quantity)} ${fact.symbol} ${fact.order_type}${fact.limit_price ? ` at ${amount(fact.limit_price)}` : ""}`;
    case "SignalAccepted": return `${fact.side} ${amount(fact.quantity)} ${fact.symbol}, ${fact.label}`;
    case "EpochStarted": return `epoch ${fact.epoch}, ${fact.mode}`;
    case "ExecutionClosed": return [fact.reason, fact.detail].filter(Boolean).join(": ");
    default:
      return [fact.level, fact.kind, fact.status, fact.reason, fact.text ?? fact.detail ?? fact.message ?? fact.proof, fact.client_order_id ?? fact.execution_id]
        .filter(Boolean).join(" · ");
  }
}

export function drawHealth({ health, vitals, seq, epoch, version }) {
  const { commits, lateness } = health;
  const { limits } = vitals;
  figures($("health-figures"), [
    ["Commit, median", brief(commits.p50)],
    ["Commit, 99th percentile", brief(commits.p99), commits.p99 > 0.25 ? "warn" : null],
    ["Commits", amount(commits.commits ?? 0)],
    ["Children late, median", brief(lateness.p50)],
    ["Children late, 99th", brief(lateness.p99), lateness.p99 > 2 ? "warn" : null],
    ["Market gaps", String(vitals.market.gaps)],
    ["Order stream cuts", String(vitals.stream.cuts)],
    ["Request weight", limits.used_weight === null ? "–" : `${amount(limits.used_weight)}${limits.weight_limit ? ` of ${amount(limits.weight_limit)}` : ""}`],
    ...limits.order_counts.map(([window, used, limit]) => [`Unfilled orders, ${window >= 3600 ? `${window / 3600} h` : `${window} s`}`, `${amount(used)} of ${amount(limit)}`]),
    ["Actors", String(health.actors)],
    ["Messages waiting", String(health.waiting), health.waiting > 1000 ? "warn" : null],
    ["Readers of events", String(health.readers)],
    ["Journal", seq === 1 ? "1 fact" : `${amount(seq)} facts`],
    ["Start", `number ${epoch}, version ${version || "–"}`],
  ]);
  keyed($("mailboxes"), health.mailboxes.slice(0, 8), ([name]) => name, ([name]) => {
    const waiting = h("span");
    const item = h("li", {}, h("span", { class: "mono" }, name), waiting);
    item.update = ([, count]) => text(waiting, String(count));
    return item;
  });
}
