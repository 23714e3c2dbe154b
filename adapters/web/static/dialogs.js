// The two questions that the page asks: for the token, and whether something is really meant.

import { $, show, text } from "/ui/static/dom.js";
import { act, look } from "/ui/static/api.js";

/**
 * Show a dialog until it ends, and resolve to what it ended with; null if it was left. `ready()` is called whenever it
 * may be answered, `submitted(end, error)` when it is, to end it or to show what went wrong. One that was left has no
 * say any more: what it had under way must not end, or write into, the next question that the same dialog asks.
 */
function asked(dialog, ready, submitted) {
  if (!dialog.open) dialog.showModal();
  const problem = dialog.querySelector(".error");
  show(problem, false);
  ready();
  return new Promise((resolve) => {
    const over = new AbortController();
    const listen = (element, event, listener) => element.addEventListener(event, listener, { signal: over.signal });
    const end = (result) => {
      if (over.signal.aborted) return;
      over.abort();
      dialog.close();
      resolve(result);
    };
    const error = (said) => {
      if (over.signal.aborted) return;
      text(problem, said);
      show(problem, true);
      ready();
    };
    listen(dialog, "cancel", () => end(null));
    listen(dialog, "close", () => dialog.open || end(null));
    listen(dialog.querySelector("[value=no]"), "click", () => end(null));
    listen(dialog.querySelector("form"), "submit", (event) => {
      event.preventDefault();
      void submitted(end, error);
    });
  });
}

/** Ask before doing: `path` is posted if the answer is yes. Resolves to what came of it, or null. */
export function confirmed({ title, question, yes, danger = false, path }) {
  const button = $("confirm-yes");
  text($("confirm-title"), title);
  text($("confirm-text"), question);
  text(button, yes);
  button.className = danger ? "danger" : "primary";
  const ready = () => {
    button.disabled = false;
    $("confirm-no").focus();
  };
  return asked($("confirm"), ready, async (end, error) => {
    button.disabled = true;
    try {
      end(await act(path));
    } catch (failure) {
      error(failure.name === "TimeoutError" ? "No answer in time; it may still be done." : failure.message);
    }
  });
}

/** Ask for the token and try it. Resolves to it once it is good, to null if it was not given. */
export function askToken() {
  $("token").value = "";
  return asked($("ask-token"), () => $("token").select(), async (end, error) => {
    const given = $("token").value.trim();
    try {
      if (!/^[\x21-\x7e]+$/.test(given)) throw new Error("A token has no blanks and no letters beyond ASCII.");
      const { may_act: good } = await look("/ui/state", { as: given });
      if (!good) throw new Error("The daemon did not take it.");
      end(given);
    } catch (failure) {
      error(failure.status === 401 ? "That is not this daemon's token." : failure.message);
    }
  });
}
