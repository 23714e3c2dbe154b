// The two questions that the page asks: for the token, and whether something is really meant.

import { $, show, text } from "/ui/static/dom.js";
import { act, look, token } from "/ui/static/api.js";

/** Ask before doing: `path` is posted if the answer is yes. Resolves to what came of it, or null. */
export function confirmed({ title, question, yes, danger = false, path }) {
  const dialog = $("confirm");
  text($("confirm-title"), title);
  text($("confirm-text"), question);
  text($("confirm-yes"), yes);
  $("confirm-yes").className = danger ? "danger" : "primary";
  show($("confirm-error"), false);
  dialog.showModal();
  $("confirm-no").focus();
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (result) => {
      over.abort();
      dialog.close();
      resolve(result);
    };
    dialog.addEventListener("cancel", () => end(null), { signal: over.signal });
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      if (event.submitter?.value !== "yes") return end(null);
      $("confirm-yes").disabled = true;
      try {
        end(await act(path));
      } catch (error) {
        text($("confirm-error"), error.name === "TimeoutError" ? "No answer in time; it may still be done." : error.message);
        show($("confirm-error"), true);
      } finally {
        $("confirm-yes").disabled = false;
      }
    }, { signal: over.signal });
  });
}

/** Ask for the token and try it. Resolves to true once it is good, to false if it was not given. */
export function askToken() {
  const dialog = $("ask-token");
  $("token").value = "";
  show($("token-error"), false);
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (result) => {
      over.abort();
      dialog.close();
      resolve(result);
    };
    dialog.addEventListener("cancel", () => end(false), { signal: over.signal });
    $("token-no").addEventListener("click", () => end(false), { signal: over.signal });
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const given = $("token").value.trim();
      try {
        if (!/^[\x21-\x7e]+$/.test(given)) throw new Error("A token has no blanks and no letters beyond ASCII.");
        const { may_act: good } = await look("/ui/state", { as: given });
        if (!good) throw new Error("The daemon did not take it.");
        token.set(given);
        end(true);
      } catch (error) {
        text($("token-error"), error.status === 401 ? "That is not this daemon's token." : error.message);
        show($("token-error"), true);
        $("token").select();
      }
    }, { signal: over.signal });
  });
}
