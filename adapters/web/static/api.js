// What the page asks of the daemon. The token lives in this tab's session storage and travels in a header.

const KEY = "tidegate.token";

export class Refused extends Error {
  constructor(status, body) {
    super(body?.detail ? `${body.reason}: ${body.detail}` : (body?.reason ?? `HTTP ${status}`));
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers(more = {}, shown = token.get()) {
  return shown ? { Authorization: `Bearer ${shown}`, ...more } : more;
}

async function answered(response) {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

/** Look at something; gives up after `patience` milliseconds, or once `signal` says so. */
export async function look(path, { patience = 5000, as, signal } = {}) {
  const over = AbortSignal.timeout(patience);
  const response = await fetch(path, {
    headers: headers({}, as ?? token.get()), cache: "no-store", signal: signal ? AbortSignal.any([over, signal]) : over,
  });
  return answered(response);
}

/** Do something; answered once it is durable. */
export async function act(path, body = { detail: "from the dashboard" }) {
  const response = await fetch(path, {
    method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body),
    signal: AbortSignal.timeout(15000),
  });
  return answered(response);
}

/**
 * Read server-sent events after a sequence number, until the connection ends or nothing came for `silence`
 * milliseconds. Yields arrays of {seq, type, fact}, one for each piece that arrived, and empty ones for signs of life.
 */
export async function* events(path, after, signal, silence = 40000) {
  const stop = new AbortController();
  const end = () => stop.abort();
  signal.addEventListener("abort", end, { once: true });
  let watchdog = setTimeout(end, silence);
  try {
    const response = await fetch(path, {
      headers: headers({ "Last-Event-ID": String(after), Accept: "text/event-stream" }), cache: "no-store", signal: stop.signal,
    });
    if (!response.ok) await answered(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(end, silence);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      yield blocks.map(decoded).filter((event) => event !== null);
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", end);
    stop.abort();
  }
}

function decoded(block) {
  const event = { seq: 0, type: "", fact: null };
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) event.seq = Number(line.slice(4));
    else if (line.startsWith("event: ")) event.type = line.slice(7);
    else if (line.startsWith("data: ")) event.fact = JSON.parse(line.slice(6));
  }
  return event.fact === null ? null : event;
}
