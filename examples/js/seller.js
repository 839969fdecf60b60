// Publishes a reading every so often, encrypted, and sells the keys.
//
//     npm install
//     node seller.js --key seller.key --open 1000

"use strict";

const autobahn = require("autobahn");
const crypto = require("node:crypto");
const { amount, channelState, encrypt, inTokens, keyOffer, recover, seal, Signer, tokens, word } = require("./crypto");
const { Market, options: given, PAYING, said } = require("./market");

const options = given({
  url: { type: "string", default: "ws://127.0.0.1:8080/ws" },
  realm: { type: "string", default: "realm1" },
  // The delegate's private key; made if there is none.
  key: { type: "string" },
  // First open a paying channel with so many tokens, the delegate being its own actor.
  open: { type: "string" },
  // Where to publish.
  uri: { type: "string", default: "io.example.readings" },
  // Tokens for a key; without it the market prices them, by the policy of this name if one is given.
  price: { type: "string" },
  policy: { type: "string" },
  // Seconds between two readings, and readings under one key.
  every: { type: "string", default: "2" },
  rotate: { type: "string", default: "30" },
});

const API = Buffer.from("example.readings");

class Seller {
  constructor(market, signer, { channel, seq, balance }) {
    Object.assign(this, { market, signer, channel, seq, balance });
    this.keys = new Map();
    this.provider = "0x" + signer.publicKey.toString("hex");
  }

  async start() {
    const sell = (args) => this.sell(...args);
    await this.market.session.register(`xbr.provider.${this.provider}.sell`, sell);
  }

  /** A fresh key on sale. */
  async offer(uri, price, policy) {
    const [key, secret] = [crypto.randomBytes(16), crypto.randomBytes(32)];
    const offer = { key, api: API, uri, price, delegate: this.signer.address };
    // Before the offer: whoever sees it may buy at once.
    this.keys.set(key.toString("hex"), secret);
    const signature = this.signer.sign(keyOffer(this.market.facts, offer));
    const args = [key, API, uri, 0, this.signer.address, signature];
    await this.market.call("place_offer", args, {
      price: price === null ? null : word(price),
      pricing: policy === undefined ? null : { policy },
      provider_id: this.provider,
    });
    return { key, secret };
  }

  /** The market maker asks for a key, and pays with a state of the channel. All is checked before anything moves. */
  sell(marketmaker, buyer, key, channel, seq, price, balance, signature) {
    const { facts } = this.market;
    const refuse = (uri, text) => new autobahn.Error(uri, [text]);
    const [paid, left] = [amount(price), amount(balance)];
    const secret = this.keys.get(Buffer.from(key).toString("hex"));
    if (!facts.marketmaker.equals(marketmaker)) {
      throw refuse("xbr.error.unexpected_marketmaker_adr", "that is not the market maker");
    }
    if (!secret) throw refuse("crossbar.error.no_such_object", "no such key");
    if (!this.channel.equals(channel)) throw refuse("xbr.error.unexpected_channel_oid", "that is not my channel");
    if (seq !== this.seq + 1) {
      throw refuse("xbr.error.unexpected_channel_seq", `expected seq ${this.seq + 1}, got ${seq}`);
    }
    if (left !== this.balance - paid) {
      throw refuse("xbr.error.unexpected_channel_balance", `expected ${this.balance - paid}, got ${left}`);
    }
    const state = channelState(facts, { channel, seq, balance: left });
    if (!recover(state, signature).equals(facts.marketmaker)) {
      throw refuse("xbr.error.invalid_signature", "the market maker did not sign that");
    }
    [this.seq, this.balance] = [seq, left];
    console.log(`sold ${Buffer.from(key).toString("hex")} for ${inTokens(paid)}, ${inTokens(left)} left at seq ${seq}`);
    return {
      key_id: key,
      delegate: this.signer.address,
      buyer_pubkey: buyer,
      sealed_key: seal(secret, new Uint8Array(buyer)),
      channel_seq: seq,
      amount: word(paid),
      balance: word(left),
      signature: this.signer.sign(state),
    };
  }
}

async function main() {
  if (!options.key) throw new Error("--key FILE names the delegate's private key; a fresh one is written there");
  if (options.price && options.policy) throw new Error("either --price or --policy says what a key costs, not both");
  const price = options.price === undefined ? null : tokens(options.price);
  const signer = Signer.load(options.key);
  const market = await Market.join(options.url, options.realm);
  if (options.open) await market.open(PAYING, signer, tokens(options.open));
  const channel = await market.channel(PAYING, signer.address);
  if (!channel) throw new Error("the delegate has no paying channel; `--open 1000` opens one");

  const seller = new Seller(market, signer, channel);
  await seller.start();
  console.log(`delegate 0x${signer.address.toString("hex")} sells, publishing to ${options.uri}`);

  const [every, rotate] = [Math.max(Number(options.every), 0.1), Math.max(Number(options.rotate), 1)];
  let current;
  for (let number = 1; ; number++) {
    if ((number - 1) % rotate === 0) current = await seller.offer(options.uri, price, options.policy);
    const reading = { number, value: Math.random() * 100 };
    const payload = [current.key, "cbor", encrypt(current.secret, reading)];
    await market.session.publish(options.uri, payload, {}, { acknowledge: true });
    await new Promise((resume) => setTimeout(resume, every * 1000));
  }
}

main().catch((error) => {
  console.error(said(error));
  process.exit(1);
});
