// autobahn-js in the matrix of tests/tests/interop: logs in as told, and tries calls and events in both directions.
//
// Reads one JSON object a line, with `url`, `realm`, `serializer`, `method` and what that needs to log in; writes one a
// line: who it is by then and what it found, or `{"error": ..}`. tests/python/peer.py is the same in Python.

"use strict";

// The library takes the platform's WebSocket, which Node.js has from version 22 on.
globalThis.WebSocket ??= require("ws");

// Standard output is for answers, and what the library has to say of connections that come and go is no news here.
console.log = console.info = console.debug = console.warn = () => {};

const autobahn = require("autobahn");
const assert = require("node:assert/strict");
const readline = require("node:readline");

const PATIENCE = 15_000;
const FAR = "com.example.far";
const NEAR = "com.example.near";
const ERROR = "com.example.error.wrong";

/** Bytes of every kind, NUL among them. */
function pattern(length) {
  return Buffer.from(Array.from({ length }, (_, index) => (length + 31 * index) % 256));
}

// JSON has no bytes; WAMP writes them as a text of NUL and base64, which this library leaves to its user.
const toText = (bytes) => "\0" + Buffer.from(bytes).toString("base64");
const fromText = (text) => (text.startsWith("\0") ? Buffer.from(text.slice(1), "base64") : text);

function spell(value) {
  if (value instanceof Uint8Array) return toText(value);
  if (Array.isArray(value)) return value.map(spell);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, spell(each)]));
  }
  return value;
}

function read(value) {
  if (typeof value === "string") return fromText(value);
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(read);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, read(each)]));
  }
  return value;
}

const SERIALIZERS = {
  json: () => new autobahn.serializer.JSONSerializer(),
  msgpack: () => new autobahn.serializer.MsgpackSerializer(),
  cbor: () => new autobahn.serializer.CBORSerializer(),
};

/** What `Connection` needs to log in. */
function login({ method, authid, secret }) {
  if (method === "anonymous") return { authmethods: ["anonymous"] };
  if (method === "ticket") return { authmethods: [method], authid, onchallenge: () => secret };
  if (method === "wampcra") {
    const onchallenge = (_session, _method, extra) => {
      const { salt, iterations, keylen } = extra;
      const key = salt ? autobahn.auth_cra.derive_key(secret, salt, iterations, keylen) : secret;
      return autobahn.auth_cra.sign(key, extra.challenge);
    };
    return { authmethods: [method], authid, onchallenge };
  }
  if (method === "cryptosign") {
    const pair = autobahn.nacl.sign.keyPair.fromSeed(Buffer.from(secret, "hex"));
    const { sign_challenge, public_key } = autobahn.auth_cryptosign;
    const onchallenge = (_session, _method, extra) => sign_challenge(pair, extra);
    return { authmethods: [method], authid, onchallenge, authextra: { pubkey: public_key(pair) } };
  }
  throw new Error(`no method ${method}`);
}

function connect(cell) {
  const { protocol, hostname, port } = new URL(cell.url);
  const serializers = [SERIALIZERS[cell.serializer]()];
  const transport =
    protocol === "ws:"
      ? { type: "websocket", url: cell.url, serializers }
      : { type: "rawsocket", host: hostname, port: Number(port) };
  const connection = new autobahn.Connection({
    realm: cell.realm,
    transports: [transport],
    max_retries: 0,
    use_es6_promises: true,
    // An endpoint that raises is part of the test.
    on_user_error: () => {},
    ...login(cell),
  });
  return new Promise((resolve, reject) => {
    connection.onopen = (session, details) => resolve({ connection, session, details });
    connection.onclose = (reason, details) => {
      reject(new Error(`${reason}: ${details.reason}: ${details.message}`));
      return true;
    };
    connection.open();
  });
}

async function tryOut(cell) {
  const { connection, session, details } = await connect(cell);
  // Over JSON the library passes on what it is given.
  const json = cell.serializer === "json";
  const out = (value) => (json ? spell(value) : value);
  const call = async (uri, args, kwargs) => {
    const result = await session.call(uri, out(args ?? []), out(kwargs ?? {}));
    return result instanceof autobahn.Result ? { args: read(result.args), kwargs: read(result.kwargs) } : read(result);
  };
  try {
    const events = [];
    const echo = (args, kwargs, invocation) => {
      const { caller, caller_authid, caller_authrole } = invocation;
      const who = { caller, authid: caller_authid, authrole: caller_authrole };
      return new autobahn.Result(args, { ...kwargs, ...who });
    };
    const wrong = () => {
      throw new autobahn.Error(ERROR, out(["as agreed", pattern(20)]), { code: -7 });
    };
    await session.register(`${NEAR}.echo`, echo);
    await session.register(`${NEAR}.wrong`, wrong);
    await session.subscribe(`${NEAR}.heard`, (args) => events.push(read(args)));

    const sent = [pattern(20), pattern(65), "Zürich", -7, null];
    const echoed = await call(`${FAR}.echo`, sent, { deep: { bytes: pattern(20) } });
    assert.deepEqual(echoed.args, sent);
    const mine = { caller: session.id, authid: details.authid, authrole: details.authrole };
    assert.deepEqual(echoed.kwargs, { deep: { bytes: pattern(20) }, ...mine });
    await assert.rejects(call(`${FAR}.wrong`), (error) => {
      assert.equal(error.error, ERROR);
      assert.deepEqual(read(error.args), ["as agreed", pattern(20)]);
      assert.deepEqual(error.kwargs, { code: -7 });
      return true;
    });

    for (const [eligible, word] of [[cell.eligible, "for you"], [session.id, "for me"]]) {
      const options = { acknowledge: true, eligible: [eligible], exclude_me: false };
      await session.publish(`${FAR}.heard`, out([word, pattern(65)]), {}, options);
    }
    // The far side calls what was registered here, and publishes here: once for this session, once for another.
    const seen = await call(`${FAR}.try_me`, [session.id]);
    while (events.length === 0) await new Promise((resume) => setTimeout(resume, 5));
    assert.deepEqual(events, [["for you", pattern(65)]]);
    const { authid, authrole, authmethod } = details;
    return { session: session.id, authid, authrole, authmethod, seen };
  } finally {
    if (connection.isOpen) connection.close();
  }
}

function inTime(work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), PATIENCE);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let found;
    try {
      found = await inTime(tryOut(JSON.parse(line)));
    } catch (error) {
      found = { error: String(error?.error ?? error?.message ?? error) };
    }
    process.stdout.write(JSON.stringify(found) + "\n");
  }
  process.exit(0);
}

main();
