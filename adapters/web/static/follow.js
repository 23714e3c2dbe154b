// Follows the daemon: the journal's facts by their sequence numbers, and the views whenever facts have come.

import { events, look } from "/ui/static/api.js";

const TAIL = 200;
const SKIP_ABOVE = 2000;
const GENTLY = 250;
const AT_LEAST_EVERY = 1000;
const GIVE_UP_AFTER = 4000;

const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Calls back with `state(view)`, `facts(list, live)`, `reset()` when it is another journal, `skipped(count)`, and
 * `link(word, error)`: "live", "lost" or "refused".
 */
export class Follower {
  constructor(callbacks) {
    this.on = callbacks;
    this.seq = null;
    this.journal = null;
    this.heard = 0;
    this.dirty = true;
    this.wake = () => {};
    this.stop = new AbortController();
    this.gaps = 0;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop.abort();
      else this.nudge();
    });
    this.#views();
    this.#facts();
  }

  /** Look again now. */
  nudge() {
    this.dirty = true;
    this.wake();
  }

  /** Begin anew, as with another token. */
  again() {
    this.stop.abort();
    this.nudge();
  }

  async #views() {
    for (;;) {
      await this.#visible();
      const began = performance.now();
      this.dirty = false;
      let view = null;
      try {
        view = await look("/ui/state");
      } catch (error) {
        if (error.status === 401) this.on.link("refused", error);
        else if (performance.now() - this.heard > GIVE_UP_AFTER || error.status) this.on.link("lost", error);
      }
      if (view !== null) this.#take(view);
      await rest(Math.max(0, GENTLY - (performance.now() - began)));
      if (!this.dirty) {
        await Promise.race([rest(AT_LEAST_EVERY - GENTLY), new Promise((resolve) => { this.wake = resolve; })]);
      }
    }
  }

  #take(view) {
    this.heard = performance.now();
    this.on.link("live");
    this.dirty ||= this.seq !== null && view.seq < this.seq;
    if (view.journal_id && view.journal_id !== this.journal) {
      if (this.journal !== null) {
        this.on.reset();
        this.stop.abort();
      }
      this.journal = view.journal_id;
      this.seq = Math.max(0, view.seq - TAIL);
      this.caught = view.seq;
    } else if (this.seq !== null && view.seq - this.seq > SKIP_ABOVE) {
      const to = view.seq - TAIL;
      this.on.skipped(to - this.seq);
      this.seq = to;
      this.stop.abort();
    }
    this.on.state(view);
  }

  async #facts() {
    let pause = 250;
    for (;;) {
      await this.#visible();
      if (this.seq === null) {
        await rest(50);
        continue;
      }
      this.stop = new AbortController();
      try {
        for await (const batch of events("/ui/events", this.seq, this.stop.signal)) {
          pause = 250;
          this.#note(batch);
        }
      } catch {
        // The views say what is wrong; here it is enough to come back where it was left off.
      }
      await rest(this.stop.signal.aborted ? 50 : pause);
      pause = Math.min(pause * 2, 4000);
    }
  }

  #note(batch) {
    const fresh = batch.filter((event) => event.seq > this.seq);
    if (!fresh.length) return;
    for (const event of fresh) {
      if (event.seq !== this.seq + 1) this.gaps += 1;
      this.seq = event.seq;
    }
    this.on.facts(fresh, fresh[0].seq > this.caught);
    this.nudge();
  }

  async #visible() {
    while (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }
}
