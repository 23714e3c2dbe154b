// Follows the daemon: the journal's facts by their sequence numbers, and the views whenever facts have come.

import { events, look } from "/ui/static/api.js";

const TAIL = 200;
const SKIP_ABOVE = 2000;
const GENTLY = 250;
const AT_LEAST_EVERY = 1000;
const LOCKED_EVERY = 10000;
const GIVE_UP_AFTER = 4000;

/** Wait so long, or until `signal` says that there is nothing to wait for. */
function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", resolve, { once: true });
  });
}

/**
 * Calls back with `state(view)`, `facts(list, live)`, `reset()` when it is another journal, `skipped(count)`, and
 * `link(word, error)`: "live", "lost", "broken" or "refused".
 */
export class Follower {
  constructor(callbacks) {
    this.on = callbacks;
    this.seq = null;
    this.journal = null;
    this.heard = 0;
    this.dirty = true;
    this.wake = () => {};
    this.asked = new AbortController();
    this.stop = new AbortController();
    this.locked = false;
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

  /** Begin anew, with another token: what was asked with the last one is over, and its answer says nothing. */
  again() {
    this.locked = false;
    this.asked.abort();
    this.stop.abort();
    this.nudge();
  }

  async #views() {
    for (;;) {
      await this.#visible();
      const began = performance.now();
      this.dirty = false;
      const { signal } = this.asked = new AbortController();
      let view = null;
      try {
        view = await look("/ui/state", { signal });
      } catch (error) {
        if (!signal.aborted) this.#miss(error);
      }
      if (signal.aborted) continue;
      if (view !== null) this.#draw(view);
      await rest(Math.max(0, GENTLY - (performance.now() - began)), signal);
      if (!this.dirty) {
        const idle = (this.locked ? LOCKED_EVERY : AT_LEAST_EVERY) - GENTLY;
        await Promise.race([rest(idle), new Promise((resolve) => { this.wake = resolve; })]);
      }
    }
  }

  /** A view that cannot be drawn leaves the last one standing, and that must not pass for how things are. */
  #draw(view) {
    try {
      this.#take(view);
    } catch (error) {
      console.error(error);
      this.on.link("broken", error);
    }
  }

  #miss(error) {
    this.locked = error.status === 401;
    if (this.locked) {
      this.on.link("refused", error);
    } else if (performance.now() - this.heard > GIVE_UP_AFTER || error.status) {
      this.on.link("lost", error);
    }
  }

  #take(view) {
    this.heard = performance.now();
    this.locked = false;
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
      if (this.seq === null || this.locked) {
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
      const { signal } = this.stop;
      await (signal.aborted ? rest(50) : rest(pause, signal));
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
