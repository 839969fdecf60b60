// A session with a market, what it says of itself, and what a developer needs before trading: tokens and channels.

"use strict";

// The library takes the platform's WebSocket, which Node.js has from version 22 on. That of `ws` raises what nobody listens to,
// where the platform's only closes.
globalThis.WebSocket ??= class extends require("ws") {
  constructor(...options) {
    super(...options);
    this.on("error", () => {});
  }
};

const autobahn = require("autobahn");
const crypto = require("node:crypto");
const { parseArgs } = require("node:util");
const { amount, channelOpen, word } = require("./crypto");

const PAYMENT = 1;
const PAYING = 2;

/** A joined session. CBOR, since bytes are bytes in it: over JSON this library leaves their spelling to its user. */
function connect(url, realm) {
  const connection = new autobahn.Connection({
    url,
    realm,
    serializers: [new autobahn.serializer.CBORSerializer()],
    authmethods: ["anonymous"],
    use_es6_promises: true,
    max_retries: 0,
    // A call that this side answers with an error is told to the caller, and is no news here.
    on_user_error: () => {},
  });
  return new Promise((resolve, reject) => {
    connection.onopen = (session) => {
      connection.onclose = () => {
        console.error("the market closed the connection");
        process.exit(1);
      };
      resolve(session);
    };
    connection.onclose = (reason, details) => {
      const why = details.reason ? `${details.reason} ${details.message ?? ""}` : `${reason}; does a market run there?`;
      reject(new Error(`no session at ${url}: ${why}`));
      return true;
    };
    connection.open();
  });
}

/** What went wrong, in the words of whoever refused it. */
function said(error) {
  return error.error ? `${error.error} ${error.args?.[0] ?? ""}` : String(error.message ?? error);
}

/** The options on the command line. */
function options(known) {
  try {
    return parseArgs({ options: known }).values;
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

/** The market, as far as delegates need it: what `get_config` says, as bytes. */
class Market {
  static async join(url, realm) {
    const market = new Market();
    market.session = await connect(url, realm);
    const config = await market.call("get_config");
    const bytes = (hex) => Buffer.from(hex.replace(/^0x/, "").replaceAll("-", ""), "hex");
    market.facts = {
      market: bytes(config.market),
      marketmaker: bytes(config.marketmaker),
      owner: bytes(config.owner),
      chainId: config.verifying_chain_id,
      contract: bytes(config.verifying_contract_adr),
    };
    return market;
  }

  /** Calls a procedure of the market. An error keeps the market's own words. */
  async call(name, args = [], kwargs = {}) {
    const uri = name.includes(".") ? name : `xbr.marketmaker.${name}`;
    try {
      return await this.session.call(uri, args, kwargs);
    } catch (error) {
      const refused = new Error(`${uri}: ${said(error)}`);
      refused.uri = error.error;
      throw refused;
    }
  }

  /** The channel that a delegate trades on, and where it stands; null without one. */
  async channel(kind, delegate) {
    const name = kind === PAYMENT ? "payment" : "paying";
    const found = await this.call(`get_active_${name}_channel`, [delegate]);
    if (!found) return null;
    const channel = Buffer.from(found.channel_oid);
    const stands = await this.call(`get_${name}_channel_balance`, [channel]);
    return { channel, seq: stands.seq, balance: amount(stands.remaining) };
  }

  /** Opens a channel whose actor is its own delegate. A buyer's takes test tokens from the faucet first. */
  async open(kind, signer, deposit) {
    if (kind === PAYMENT) await this.call("bourse.dev.fund", [signer.address, word(deposit)]);
    const { facts } = this;
    const block = (await this.call("status")).current_block_no;
    const open = {
      kind,
      block,
      channel: crypto.randomBytes(16),
      actor: signer.address,
      delegate: signer.address,
      recipient: kind === PAYMENT ? facts.owner : signer.address,
      amount: deposit,
    };
    await this.call("open_channel", [
      open.actor, facts.market, open.channel, facts.chainId, block, facts.contract, kind, open.delegate,
      facts.marketmaker, open.recipient, word(deposit), signer.sign(channelOpen(facts, open)),
    ]);
    return open.channel;
  }
}

module.exports = { Market, options, PAYING, PAYMENT, said };
