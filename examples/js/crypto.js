// What delegates sign, and how payloads and keys are encrypted. Nothing here talks to anybody.

"use strict";

const { secp256k1 } = require("@noble/curves/secp256k1");
const { keccak_256 } = require("@noble/hashes/sha3");
const { blake2b } = require("@noble/hashes/blake2b");
const cbor = require("cbor");
const nacl = require("tweetnacl");
const fs = require("node:fs");

// --- Amounts: 32 bytes, big-endian, in units of which a token has 10^18 -----------------------------------------

const TOKEN = 10n ** 18n;

/** Whole or fractional tokens as base units, without a float on the way. */
function tokens(text) {
  const found = /^(\d+)(?:\.(\d{1,18}))?$/.exec(text);
  if (!found) throw new Error(`"${text}" is not an amount of tokens, such as 35 or 0.5`);
  return BigInt(found[1]) * TOKEN + BigInt((found[2] ?? "").padEnd(18, "0"));
}

/** Base units as people write tokens. */
function inTokens(units) {
  const fraction = (units % TOKEN).toString().padStart(18, "0").replace(/0+$/, "");
  return `${units / TOKEN}${fraction && "." + fraction}`;
}

const word = (number) => Buffer.from(BigInt(number).toString(16).padStart(64, "0"), "hex");

/** An amount that a market or a market maker sent: bytes, or a plain number from older ones. */
const amount = (value) =>
  value instanceof Uint8Array ? BigInt("0x" + Buffer.from(value).toString("hex")) : BigInt(value);

// --- Typed data: EIP-712 in the domain XBR ----------------------------------------------------------------------

const keccak = (...parts) => Buffer.from(keccak_256(Buffer.concat(parts)));
const text = (value) => keccak(Buffer.from(value));

const DOMAIN = keccak(text("EIP712Domain(string name,string version)"), text("XBR"), text("1"));

/** One word of 32 bytes. Numbers and addresses are padded on the left, bytes16 on the right: mind the difference. */
function encode(type, value) {
  if (type === "string") return text(value);
  if (type.startsWith("uint") || type === "bool") return word(value);
  const bytes = Buffer.from(value);
  if (bytes.length !== (type === "address" ? 20 : 16)) throw new Error(`${bytes.length} bytes are no ${type}`);
  const rest = Buffer.alloc(32 - bytes.length);
  return type === "address" ? Buffer.concat([rest, bytes]) : Buffer.concat([bytes, rest]);
}

/** The digest of a message, given as [type, name, value] in the order of its schema. */
function digest(name, fields) {
  const schema = `${name}(${fields.map(([type, field]) => `${type} ${field}`).join(",")})`;
  const struct = keccak(text(schema), ...fields.map(([type, , value]) => encode(type, value)));
  return keccak(Buffer.from([0x19, 0x01]), DOMAIN, struct);
}

const network = (facts) => [
  ["uint256", "chainId", facts.chainId],
  ["address", "verifyingContract", facts.contract],
];

/** A state of a channel: every purchase and every sale is one. */
const channelState = (facts, { channel, seq, balance }) =>
  digest("EIP712ChannelClose", [
    ...network(facts),
    // Off the chain it is always 1.
    ["uint256", "closeAt", 1],
    ["bytes16", "marketId", facts.market],
    ["bytes16", "channelId", channel],
    ["uint32", "channelSeq", seq],
    ["uint256", "balance", balance],
    ["bool", "isFinal", 0],
  ]);

const channelOpen = (facts, open) =>
  digest("EIP712ChannelOpen", [
    ...network(facts),
    ["uint8", "ctype", open.kind],
    ["uint256", "openedAt", open.block],
    ["bytes16", "marketId", facts.market],
    ["bytes16", "channelId", open.channel],
    ["address", "actor", open.actor],
    ["address", "delegate", open.delegate],
    ["address", "marketmaker", facts.marketmaker],
    ["address", "recipient", open.recipient],
    ["uint256", "amount", open.amount],
  ]);

/** An offer of a key. XBR has no message for it, this one is Bourse's; other markets look at none. */
const keyOffer = (facts, offer) =>
  digest("EIP712KeyOffer", [
    ...network(facts),
    ["bytes16", "marketId", facts.market],
    ["bytes16", "keyId", offer.key],
    ["bytes16", "apiId", offer.api],
    ["string", "uri", offer.uri],
    ["uint256", "price", offer.price ?? 0n],
    ["bool", "dynamic", offer.price === null ? 1 : 0],
    ["uint256", "validFrom", 0],
    ["uint256", "expires", 0],
    ["address", "delegate", offer.delegate],
  ]);

// --- Signatures: r, s, and 27 or 28 -----------------------------------------------------------------------------

const addressOf = (point) => Buffer.from(keccak_256(point.toBytes(false).subarray(1))).subarray(12);

/** A delegate's key. */
class Signer {
  constructor(secret) {
    this.secret = secret;
    const point = secp256k1.Point.fromBytes(secp256k1.getPublicKey(secret));
    this.address = addressOf(point);
    this.publicKey = Buffer.from(point.toBytes(false).subarray(1));
  }

  /** The key in a file, in hex; a fresh one, written there, if there is no file. */
  static load(path) {
    if (!fs.existsSync(path)) {
      const secret = Buffer.from(secp256k1.utils.randomPrivateKey());
      fs.writeFileSync(path, secret.toString("hex") + "\n", { mode: 0o600, flag: "wx" });
    }
    const secret = Buffer.from(fs.readFileSync(path, "utf8").trim().replace(/^0x/, ""), "hex");
    if (secret.length !== 32) throw new Error(`${path}: expected 64 hex digits of a private key`);
    return new Signer(secret);
  }

  sign(hash) {
    const signature = secp256k1.sign(hash, this.secret);
    return Buffer.concat([signature.toBytes("compact"), Buffer.from([27 + signature.recovery])]);
  }
}

/** Who signed. */
function recover(hash, signature) {
  const bytes = Buffer.from(signature);
  if (bytes.length !== 65 || (bytes[64] !== 27 && bytes[64] !== 28)) throw new Error("that is no signature");
  const parsed = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), "compact");
  return addressOf(parsed.addRecoveryBit(bytes[64] - 27).recoverPublicKey(hash));
}

// --- Encryption: NaCl's, so that clients in any language read each other ----------------------------------------

/** A payload, as CBOR, in a secret box: nonce, then ciphertext. */
function encrypt(key, payload) {
  const nonce = nacl.randomBytes(24);
  return Buffer.concat([nonce, nacl.secretbox(cbor.encode(payload), nonce, key)]);
}

function decrypt(key, ciphertext) {
  const bytes = Buffer.from(ciphertext);
  const opened = nacl.secretbox.open(bytes.subarray(24), bytes.subarray(0, 24), key);
  if (!opened) throw new Error("the payload does not decrypt with this key");
  return cbor.decodeFirstSync(Buffer.from(opened));
}

const sealNonce = (ephemeral, receiver) => blake2b(Buffer.concat([ephemeral, receiver]), { dkLen: 24 });

/** A data key for one buyer's eyes, as libsodium's crypto_box_seal has it. */
function seal(key, receiver) {
  const pair = nacl.box.keyPair();
  const nonce = sealNonce(pair.publicKey, receiver);
  return Buffer.concat([pair.publicKey, nacl.box(key, nonce, receiver, pair.secretKey)]);
}

function unseal(sealed, pair) {
  const bytes = new Uint8Array(sealed);
  const [ephemeral, boxed] = [bytes.subarray(0, 32), bytes.subarray(32)];
  const opened = nacl.box.open(boxed, sealNonce(ephemeral, pair.publicKey), ephemeral, pair.secretKey);
  if (!opened) throw new Error("the sealed key does not open with this receive key");
  return opened;
}

module.exports = {
  amount, channelOpen, channelState, decrypt, encrypt, inTokens, keyOffer, recover, seal, Signer, tokens, unseal, word,
};
