// Asks the host. The token goes along where there is one, and lives in this tab alone.

const TOKEN = "bourse-token";

/** An answer that says no, in words for people. */
export class Refused extends Error {
  constructor(status, code, words) {
    super(words);
    this.status = status;
    this.code = code;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** The headers of every question. */
export function headers(more = {}) {
  const own = token.get();
  return own ? { ...more, Authorization: `Bearer ${own}` } : more;
}

async function answer(response) {
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refused(response.status, "nonsense", `The host answered ${response.status}, and no console's answer.`);
  }
  if (!response.ok) {
    throw new Refused(response.status, body.code, body.error);
  }
  return body;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Refused(0, "unreachable", "The host does not answer. Is it running?");
  }
  return answer(response);
}

/** Where a market is asked. */
export function at(realm, path) {
  return `/console/api/m/${encodeURIComponent(realm)}/${path}`;
}

/** Asks for something. */
export function get(path) {
  return ask(path, { headers: headers() });
}

/** Has something done; `body` is a component, or nothing. */
export function post(path, body = null, more = {}) {
  const kind = body ? { "Content-Type": "application/wasm" } : {};
  return ask(path, { method: "POST", body, headers: headers({ ...kind, ...more }) });
}

/** A query of what is given. */
export function query(parts) {
  const given = Object.entries(parts).filter(([, value]) => value);
  return given.length ? `?${given.map(([name, value]) => `${name}=${value}`).join("&")}` : "";
}
