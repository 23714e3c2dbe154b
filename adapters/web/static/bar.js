// The state bar: what one has to know at a glance, worst things marked in words as well as colours.

import { $, attribute, figures, show, text } from "/ui/static/dom.js";
import { duration, seconds, words } from "/ui/static/format.js";

const MODES = { paper: "PAPER", testnet: "TESTNET", demo: "DEMO", live: "LIVE · REAL MONEY" };

export function drawBar(view) {
  const mode = view.mode || "";
  attribute(document.documentElement, "data-mode", mode);
  attribute($("mode"), "data-mode", mode);
  text($("mode"), MODES[mode] ?? "…");
  attribute($("readiness"), "data-state", view.readiness);
  text($("readiness"), words(view.readiness));
  text($("readiness-detail"), view.halted ?? view.detail);
  show($("halt"), view.halted === null);
  show($("unhalt"), view.halted !== null);
  figures($("signs"), signs(view));
  const count = view.running.length;
  document.title = `${view.halted ? "⛔ " : ""}${count ? `(${count}) ` : ""}${MODES[mode] ?? ""} · Tidegate`;
}

/** Say that nothing is known: what was known is of a daemon that may be another by now. */
export function lockBar() {
  attribute(document.documentElement, "data-mode", "");
  attribute($("mode"), "data-mode", "");
  text($("mode"), "…");
  attribute($("readiness"), "data-state", "");
  text($("readiness"), "locked");
  text($("readiness-detail"), "");
  figures($("signs"), []);
  document.title = "locked · Tidegate";
}

function signs(view) {
  const { market, stream, clock, limits } = view.vitals;
  return [
    ["Account", view.account || "–"],
    ["Up", view.started_at ? duration(seconds(view.now) - seconds(view.started_at)) : "–"],
    ["Market", market.age === null ? "no quote" : duration(market.age), above(market.age ?? Infinity, 5, 30)],
    ["Order stream", streamWords(stream), stream.open === false ? "bad" : null],
    ["Clock offset", clock.offset_ms === null ? "not measured" : `${clock.offset_ms} ms`.replace("-", "−"), above(Math.abs(clock.offset_ms ?? 0), 250, 1000)],
    ["Budget", ...budget(limits, seconds(view.now))],
    ["Running", String(view.running.length)],
  ];
}

function streamWords(stream) {
  if (stream.open === null) return "not open yet";
  if (!stream.open) return "down";
  return `up, heard ${duration(stream.age)} ago`;
}

/** The fullest of the exchange's limits, in per cent. */
function budget(limits, now) {
  if (limits.retry_at && seconds(limits.retry_at) > now) {
    return [`${limits.banned ? "banned" : "told to wait"} for ${duration(seconds(limits.retry_at) - now)}`, "bad"];
  }
  const shares = limits.order_counts.map(([, used, limit]) => used / limit);
  if (limits.used_weight !== null && limits.weight_limit) shares.push(limits.used_weight / limits.weight_limit);
  if (!shares.length) return ["nothing used"];
  const most = Math.max(...shares);
  return [`${Math.ceil(most * 100)} % used`, above(most, 0.7, 0.9)];
}

function above(value, warn, bad) {
  return value > bad ? "bad" : value > warn ? "warn" : null;
}
