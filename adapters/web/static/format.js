// How figures are written. Amounts come as exact text; what is rounded here is rounded for show only.

export const NOTHING = "–";

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** An exact amount, its whole part in groups. */
export function amount(value) {
  if (value === null || value === undefined || value === "") return NOTHING;
  const [whole, fraction] = String(value).split(".");
  return fraction === undefined ? grouped(whole) : `${grouped(whole)}.${fraction}`;
}

/** A price: to the hundredth from 1,000 on, else to six significant digits. */
export function price(value) {
  if (value === null || value === undefined) return NOTHING;
  const number = Number(value);
  if (Math.abs(number) >= 1000) return amount(number.toFixed(2));
  const written = number.toPrecision(6);
  return written.includes("e") ? String(value) : written.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** An amount of base units rounded to eight decimals at most. */
export function quantity(value) {
  if (value === null || value === undefined) return NOTHING;
  const [whole, fraction = ""] = String(value).split(".");
  const kept = fraction.slice(0, 8).replace(/0+$/, "");
  return kept ? `${grouped(whole)}.${kept}` : grouped(whole);
}

/** A number that is no exact text, such as one of an axis, to eight decimals at most. */
export function written(number) {
  return quantity(number.toFixed(8));
}

export function bps(value) {
  if (value === null || value === undefined) return NOTHING;
  const number = Number(value);
  return `${number > 0 ? "+" : ""}${number.toFixed(2)}`.replace("-", "−");
}

export function percent(part, whole) {
  const of = Number(whole);
  return of ? `${Math.min(999, Math.round((Number(part) / of) * 100))} %` : NOTHING;
}

export function fees(pairs) {
  const said = (pairs ?? []).filter(([, value]) => Number(value) !== 0).map(([asset, value]) => `${quantity(value)} ${asset}`);
  return said.length ? said.join(", ") : NOTHING;
}

/** A duration in the two largest units that matter. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(s % 60) % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A short time: milliseconds below a second. */
export function brief(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 0.001) return `${(seconds * 1000).toFixed(2)} ms`;
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : duration(seconds);
}

export function seconds(iso) {
  return Date.parse(iso) / 1000;
}

export function clock(iso) {
  return iso ? iso.slice(11, 19) : NOTHING;
}

export function day(iso) {
  return iso ? iso.slice(0, 10) : "";
}

/** Day and time of something that may be long ago. */
export function moment(iso) {
  return iso ? `${day(iso)} ${clock(iso)}` : NOTHING;
}

/** Words of a code: NOT_SENT becomes "not sent". */
export function words(code) {
  return String(code ?? "").toLowerCase().replaceAll("_", " ");
}

const TONES = {
  READY: "good", FILLED: "good", COMPLETED: "good", accepted: "good", RUNNING: "good",
  PARTIAL: "warn", TIMEOUT: "warn", duplicate: "warn", rejected: "warn", PAUSED: "warn", CANCELLING: "warn", warning: "warn",
  UNKNOWN: "bad", FAILED: "bad", REFUSED: "bad", conflict: "bad", QUARANTINED: "bad", REAPPEARED: "bad", error: "bad", critical: "bad",
};

export function tone(word) {
  return TONES[String(word ?? "").split(":")[0]] ?? null;
}
