// Puts the page together: follows the daemon, draws what it says, asks before anything is done.

import { token } from "/ui/static/api.js";
import { drawBar, lockBar } from "/ui/static/bar.js";
import { askToken, confirmed } from "/ui/static/dialogs.js";
import { $, attribute, keepingFocus, show, text } from "/ui/static/dom.js";
import { Follower } from "/ui/static/follow.js";
import { amount, duration, words } from "/ui/static/format.js";
import { One } from "/ui/static/one.js";
import { drawAlerts, drawHealth, drawSignals, Journal } from "/ui/static/panels.js";
import { Executions } from "/ui/static/running.js";
import { startTheme } from "/ui/static/theme.js";

const root = document.documentElement;
const journal = new Journal();
const one = new One();
const executions = new Executions({ choose: (id) => choose(id, true), ask: askCommand });
let latest = null;
let chosen = false;

const follower = new Follower({
  state: (view) => keepingFocus(() => draw(view)),
  facts,
  link,
  reset: () => journal.clear(),
  skipped: (count) => journal.skipped(count),
});

function draw(view) {
  latest = view;
  attribute(root, "data-known", "true");
  attribute(root, "data-may-act", String(view.may_act));
  drawBar(view);
  if (!chosen) choose(view.running.at(-1)?.execution_id ?? one.id ?? view.closed[0]?.execution_id ?? null, false);
  executions.draw(view, one.id);
  drawSignals(view.signals, (id) => choose(id, true));
  drawAlerts(view.alerts, (id) => choose(id, true));
  drawHealth(view);
  attribute($("journal"), "data-gaps", follower.gaps);
  void one.draw(view);
}

function facts(batch, live) {
  journal.add(batch);
  one.touched(new Set(batch.map(({ fact }) => fact.execution_id)));
  if (live) announce(batch);
}

/** Tell a screen reader what an operator would look up for. */
function announce(batch) {
  const said = batch.flatMap(({ type, fact }) => {
    switch (type) {
      case "SignalAccepted": return [`${words(fact.side)} ${amount(fact.quantity)} ${fact.symbol} accepted`];
      case "ExecutionClosed": return [`Execution finished: ${words(fact.reason)}`];
      case "AlertRaised": return [`Alert, ${fact.level}: ${fact.text}`];
      case "TradingHalted": return ["Trading is halted"];
      case "TradingResumed": return ["Trading goes on"];
      default: return [];
    }
  });
  if (said.length) text($("say"), said.slice(-3).join(". "));
}

function link(word, error) {
  const was = root.dataset.link;
  attribute(root, "data-link", word === "broken" ? "lost" : word);
  const lost = $("lost");
  show(lost, word !== "live");
  if (word === "lost") {
    const heard = follower.heard ? `last heard ${duration((performance.now() - follower.heard) / 1000)} ago` : "nothing heard yet";
    text(lost, `No connection to the daemon, ${heard}. What is shown may be over; trying again.`);
    document.title = "⚠ no connection · Tidegate";
  } else if (word === "broken") {
    text(lost, `This page cannot draw what the daemon says (${error.message}). What is shown may be over; reload it.`);
    document.title = "⚠ not drawn · Tidegate";
  } else if (word === "refused") {
    text(lost, token.get() ? `The token was refused. ${error.message}` : "This daemon shows nothing without its token.");
    token.forget();
    attribute(root, "data-known", "false");
    lockBar();
    attribute(root, "data-may-act", "false");
    if (was !== "refused" && !$("ask-token").open) void unlock(); // Asked once: who does not want to is left alone.
  }
}

function choose(id, byHand) {
  if (byHand) {
    chosen = true;
    history.replaceState(null, "", `#${id}`);
  }
  one.choose(id);
  if (byHand && latest) {
    executions.draw(latest, id);
    void one.draw(latest).then(() => $("one").scrollIntoView({ block: "nearest" }));
  }
}

async function askCommand(verb, view) {
  const order = `${view.side} ${amount(view.quantity)} ${view.symbol} (${view.execution_id})`;
  const asked = {
    pause: { title: "Pause this execution?", question: `${order} sends no new child order until it is resumed. What is open at the exchange stays.`, yes: "Pause" },
    resume: { title: "Resume this execution?", question: `${order} goes on; what is overdue follows its catch-up rule.`, yes: "Resume" },
    cancel: { title: "Cancel this execution?", question: `${order} ends for good with what is filled by now. Open child orders are cancelled.`, yes: "Cancel the execution", danger: true },
  }[verb];
  await doIt({ ...asked, path: `/v1/executions/${encodeURIComponent(view.execution_id)}/${verb}` });
}

async function doIt(asked) {
  const done = await confirmed(asked);
  const held = document.activeElement;
  const gone = held === document.body || !held.checkVisibility(); // As the row has, in which it was asked.
  if (gone) $("running").focus({ preventScroll: true });
  if (done) {
    text($("say"), `${asked.yes}: done`);
    follower.nudge();
  }
}

async function unlock() {
  const given = await askToken();
  if (given === null) return;
  token.set(given);
  follower.again(); // In the same turn: a refusal of what was asked before must not pass for one of this token.
  text($("say"), "Unlocked");
}

function start() {
  const hash = location.hash.slice(1);
  if (hash.startsWith("token=")) {
    token.set(decodeURIComponent(hash.slice(6)));
    history.replaceState(null, "", location.pathname);
  } else if (/^[a-z2-7]{13}$/.test(hash)) {
    choose(hash, false);
    chosen = true;
  }
  startTheme(() => one.repaint());
  $("unlock").addEventListener("click", unlock);
  $("lock").addEventListener("click", () => {
    token.forget();
    follower.again();
  });
  $("halt").addEventListener("click", () => doIt({
    title: "Halt all trading?", danger: true, yes: "Halt", path: "/v1/halt",
    question: "No new order goes out, from any execution, until trading is resumed. Orders that are open at the exchange stay; signals are refused.",
  }));
  $("unhalt").addEventListener("click", () => doIt({
    title: "Resume trading?", yes: "Resume", path: "/v1/unhalt", question: "New orders may go out again, and signals are let in.",
  }));
  follower.start();
}

start();
