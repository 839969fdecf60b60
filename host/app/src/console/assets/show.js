// Spells what the host says: amounts exactly, identifiers short, times where the reader is.

import { el } from "./dom.js";

const UNIT = 10n ** 18n;

/** Base units as tokens, every digit of them. */
export function tokens(units) {
  if (units === null || units === undefined) {
    return "–";
  }
  const all = BigInt(units);
  const whole = (all / UNIT).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const fraction = (all % UNIT).toString().padStart(18, "0").replace(/0+$/, "");
  return fraction ? `${whole}.${fraction}` : whole;
}

/** Base units as a number, for drawing alone. */
export function about(units) {
  const all = BigInt(units);
  return Number(all / UNIT) + Number(all % UNIT) / 1e18;
}

/** Nanoseconds as milliseconds. */
export function millis(nanos) {
  return Number(BigInt(nanos) / 1000000n);
}

/** A moment. */
export function time(nanos) {
  if (nanos === null || nanos === undefined) {
    return "–";
  }
  const date = new Date(millis(nanos));
  const today = date.toDateString() === new Date().toDateString();
  const two = (part) => String(part).padStart(2, "0");
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return el("time", { datetime: date.toISOString(), title: `${date.toISOString()} (${nanos} ns)` }, today ? clock : `${day} ${clock}`);
}

/** A whole number with its thousands apart. */
export function count(number) {
  return number === null || number === undefined
    ? "–"
    : String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Bytes in the unit that fits. */
export function bytes(number) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [number, 0];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

/** Microseconds in the unit that fits. */
export function micros(value) {
  if (!value) {
    return "–";
  }
  return value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} µs` : `${(value / 1000).toFixed(2)} ms`;
}

/** Enough of an identifier to tell it from others; all of it on demand. */
export function short(id) {
  if (!id) {
    return "–";
  }
  const text = id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
  return el("code", { title: id, class: "id" }, text);
}

/** A link to what is known of something. */
export function why(realm, id, text) {
  return el("a", { href: `#/${encodeURIComponent(realm)}/why/${id}`, title: `Why? ${id}` }, text);
}
