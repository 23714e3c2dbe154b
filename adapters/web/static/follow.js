// Follows the daemon: the journal's facts by their sequence numbers, and the views whenever facts have come.

import { events, look } from "/ui/static/api.js";

const TAIL = 200;
const SKIP_ABOVE = 2000;
const GENTLY = 250;
const AT_LEAST_EVERY = 1000;
const LOCKED_EVERY = 10000;
const GIVE_UP_AFTER = 4000;
const STREAMS = 3;
const BRIEFLY = 5000;

/** Wait so long, or until `signal` says that there is nothing to wait for. */
function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", resolve, { once: true });
  });
}

/**
 * Do `work`, which holds a connection, unless other windows hold enough of them: then it is not done, and that is told
 * as false. A browser opens six connections to one place, for all its windows together; without those that are left for
 * all else, none of them could even halt trading.
 */
async function inTurn(work) {
  if (!navigator.locks) { // As for a page that is not from this machine and not encrypted.
    await work();
    return true;
  }
  for (let slot = 0; slot < STREAMS; slot += 1) {
    const done = await navigator.locks.request(`tidegate.stream.${slot}`, { ifAvailable: true }, async (lock) => {
      if (lock !== null) await work();
      return lock !== null;
    });
    if (done) return true;
  }
  return false;
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
    this.latest = view.seq;
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
      const { signal } = this.stop = new AbortController();
      const before = this.seq;
      if (await inTurn(() => this.#read(signal))) {
        if (this.seq > before) pause = 250;
        await (signal.aborted ? rest(50) : rest(pause, signal));
        pause = Math.min(pause * 2, 4000);
      } else {
        if (this.latest > this.seq) await this.#read(signal, { until: this.latest, silence: BRIEFLY });
        await rest(GENTLY);
      }
    }
  }

  /** Read events until the connection ends, or up to one that is known to be there. */
  async #read(signal, { until = Infinity, silence } = {}) {
    try {
      for await (const batch of events("/ui/events", this.seq, signal, silence)) {
        this.#note(batch);
        if (this.seq >= until) return;
      }
    } catch {
      // The views say what is wrong; here it is enough to come back where it was left off.
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
