// Subscribes to encrypted readings, buys the keys it has not got, and prints what it reads.
//
//     npm install
//     node buyer.js --key buyer.key --open 1000

"use strict";

const nacl = require("tweetnacl");
const { amount, channelState, decrypt, inTokens, recover, Signer, tokens, unseal, word } = require("./crypto");
const { Market, options: given, PAYMENT, said } = require("./market");

const options = given({
  url: { type: "string", default: "ws://127.0.0.1:8080/ws" },
  realm: { type: "string", default: "realm1" },
  // The delegate's private key; made if there is none.
  key: { type: "string" },
  // First take so many test tokens and open a payment channel with them, the delegate being its own actor.
  open: { type: "string" },
  // Where the readings are published.
  uri: { type: "string", default: "io.example.readings" },
  // The most to pay for a key, in tokens.
  "max-price": { type: "string", default: "35" },
});

// Keys that are kept, the newest, for so many sellers at a time.
const KEPT = 64;

class Buyer {
  constructor(market, signer, { channel, seq, balance }) {
    Object.assign(this, { market, signer, channel, seq, balance });
    // Keys are sealed to this one.
    this.receive = nacl.box.keyPair();
  }

  /** Buys a key, one purchase at a time: each is the next state of the channel. */
  async buy(key, maxPrice) {
    const { facts } = this.market;
    const price = amount((await this.market.call("get_quote", [key])).price);
    if (price > maxPrice) throw new Error(`the key costs ${inTokens(price)}, ${inTokens(maxPrice)} is the most to pay`);
    // The next state: seq moves with every purchase. (The SimpleBuyer of the package autobahn-xbr signs the seq where the
    // channel stands; a market takes its first purchase only with compat.lenient_seq = true, and never a second one.)
    const [seq, balance] = [this.seq + 1, this.balance - price];
    if (balance < 0n) throw new Error(`the key costs ${inTokens(price)}, ${inTokens(this.balance)} is left`);
    const state = channelState(facts, { channel: this.channel, seq, balance });
    const receipt = await this.market.call("buy_key", [
      this.signer.address, Buffer.from(this.receive.publicKey), key, this.channel, seq, word(price), word(balance),
      this.signer.sign(state),
    ]);
    // Only what the market maker has signed too is settled.
    if (receipt.channel_seq !== seq || amount(receipt.remaining) !== balance) {
      throw new Error(`the receipt is for another state: seq ${receipt.channel_seq}, expected ${seq}`);
    }
    if (!recover(state, receipt.signature).equals(facts.marketmaker)) {
      throw new Error("the receipt is not signed by the market maker");
    }
    [this.seq, this.balance] = [seq, balance];
    return { price, dataKey: unseal(receipt.sealed_key, this.receive) };
  }
}

async function main() {
  if (!options.key) throw new Error("--key FILE names the delegate's private key; a fresh one is written there");
  const signer = Signer.load(options.key);
  const market = await Market.join(options.url, options.realm);
  if (options.open) await market.open(PAYMENT, signer, tokens(options.open));
  const channel = await market.channel(PAYMENT, signer.address);
  if (!channel) throw new Error("the delegate has no payment channel; `--open 1000` opens one");

  const buyer = new Buyer(market, signer, channel);
  const bought = new Map();
  const read = async ([key, serializer, ciphertext]) => {
    if (serializer !== "cbor") return;
    const id = Buffer.from(key).toString("hex");
    if (!bought.has(id)) {
      try {
        const { price, dataKey } = await buyer.buy(Buffer.from(key), tokens(options["max-price"]));
        // Of each seller one, the newest: readings share a key for a while, and then never again.
        if (bought.size === KEPT) bought.delete(bought.keys().next().value);
        bought.set(id, dataKey);
        console.log(`bought ${id} for ${inTokens(price)}, ${inTokens(buyer.balance)} left`);
      } catch (error) {
        console.log(`not bought: ${error.message}`);
        return;
      }
    }
    const { number, value } = decrypt(bought.get(id), ciphertext);
    console.log(`reading ${number}: ${value.toFixed(2)}`);
  };
  // One after the other, as purchases must be.
  let last = Promise.resolve();
  await market.session.subscribe(options.uri, (args) => {
    last = last.then(() => read(args)).catch((error) => console.log(`not read: ${error.message}`));
  });
  console.log(`delegate 0x${signer.address.toString("hex")} buys, ${inTokens(buyer.balance)} left`);
}

main().catch((error) => {
  console.error(said(error));
  process.exit(1);
});
