// Why this price? Anything that names a sale, a quote or an offer, with all that led to it, made again on the spot.

import { at, get, post } from "../api.js";
import { el, facts, field, note, replace, say, table } from "../dom.js";
import { count, short, time, tokens, why as link } from "../show.js";
import { SALE_HEADS, saleRows } from "./overview.js";

function ask(realm, of) {
  const input = el("input", { id: "why-id", value: of, spellcheck: "false", autocomplete: "off", maxlength: 90 });
  const submit = (event) => {
    event.preventDefault();
    const id = input.value.trim().replaceAll("/", "");
    if (id) {
      location.hash = `#/${encodeURIComponent(realm)}/why/${encodeURIComponent(id)}`;
    }
  };
  return el(
    "form",
    { class: "row", onsubmit: submit },
    field(
      "Receipt, key, purchase or decision",
      input,
      "an id of 32 hex digits, or of a receipt its payment_channel and channel_seq as CHANNEL:SEQ",
    ),
    el("button", { class: "main" }, "Explain"),
  );
}

/** Makes a decision again and says what came of it. */
function replay(realm, decision) {
  const slot = el("div", { class: "replayed" });
  const run = async () => {
    button.disabled = true;
    let node;
    try {
      node = outcome(await post(at(realm, `replay/${decision.id}`)));
    } catch (error) {
      node = note("bad", el("p", {}, error.message));
    }
    button.disabled = false;
    replace(slot, node);
    say(node.textContent);
  };
  const button = el("button", { type: "button", onclick: run, "aria-label": `Replay decision ${decision.id}` }, "Replay it now");
  return el("div", { class: "buttons" }, button, slot);
}

function outcome({ result, fields, fuel, us, outcome: said }) {
  if (result === "exact") {
    return note("good", el("p", {}, `The same to the last bit: ${said}, with ${count(fuel)} units of fuel, in ${count(us)} µs.`));
  }
  if (result === "circumstance") {
    return note("warn", el("p", {}, `This came from the clock or the load of the machine (${said}), which nothing can repeat.`));
  }
  const rows = fields.map(({ field: name, recorded, repeated }) => [name, recorded, repeated]);
  return note("bad", el("p", {}, "It came out otherwise."), table("What differs", ["Field", "Then", "Now"], rows));
}

function decision(realm, told) {
  const title = `${told.hook} by ${told.policy}`;
  return el(
    "section",
    { class: "card", "aria-label": `Decision ${told.id}` },
    el("h3", {}, title),
    el("ol", { class: "steps" }, told.words.map((line) => el("li", {}, line))),
    facts([
      ["Decision", short(told.id)],
      ["Taken", time(told.at)],
      ["Policy", told.policy],
      ["Revision", el("code", { class: "hash" }, told.revision)],
      ["Outcome", told.outcome],
      ["Fuel", count(told.fuel)],
      ["Took", told.us === null ? "–" : `${count(told.us)} µs`],
    ]),
    replay(realm, told),
    el("details", { "data-name": told.id }, el("summary", {}, "The record: inputs, imports and output"), el("pre", { tabindex: "0" }, told.record)),
  );
}

function sale(told) {
  return facts([
    ["Paid", el("strong", {}, `${tokens(told.price)} tokens`)],
    ["Base", told.base === null ? "not on record" : tokens(told.base)],
    ["Fee of the market", tokens(told.fee)],
    ["The buyer's most", tokens(told.most)],
    ["Posted", time(told.at)],
    ["Purchase", short(told.id)],
    ["Key", short(told.key)],
    ["API", short(told.api)],
    ["Buyer", short(told.buyer)],
    ["Seller", short(told.seller)],
    ["Payment channel", short(told.channel)],
  ]);
}

function offer(told) {
  return el(
    "section",
    { class: "card", "aria-label": "Offer" },
    el("h3", {}, "The offer"),
    facts([
      ["Key", short(told.key)],
      ["URI", told.uri],
      ["Own price", told.price === null ? "none: dynamic" : tokens(told.price)],
      ["Policy chosen", told.policy ?? "none"],
      ["Floor", tokens(told.floor)],
      ["Cap", tokens(told.cap)],
      ["Stands", told.stands],
      ["Placed", time(told.placed)],
      ["Seller", short(told.seller)],
    ]),
  );
}

function quotes(realm, list) {
  const rows = list.map((quote) => [
    time(quote.at),
    tokens(quote.base),
    tokens(quote.price),
    quote.policy ?? quote.source ?? "–",
    short(quote.buyer),
    quote.decision ? link(realm, quote.decision, "Why?") : "–",
  ]);
  return table(
    "Its last quotes",
    ["Time", { text: "Base", number: true }, { text: "Quoted", number: true }, "Priced by", "Buyer", "Explained"],
    rows,
    "Nobody was quoted it since the host started.",
  );
}

const TITLES = { sale: "This sale", purchase: "This purchase", decision: "This decision", offer: "This key", channel: "This channel" };

function answer(realm, told) {
  return el(
    "section",
    { "aria-label": "Explanation", class: "explanation" },
    el("h2", { tabindex: "-1", id: "answer" }, TITLES[told.what]),
    el("ol", { class: "steps" }, told.words.map((line) => el("li", {}, line))),
    told.sale ? sale(told.sale) : null,
    told.decisions.map((one) => decision(realm, one)),
    told.all_decisions === false ? note("warn", el("p", {}, "The market was so busy then that decisions of filters and consent may be missing here.")) : null,
    told.sales ? table("Its last sales", SALE_HEADS, saleRows(realm, told.sales), "There is none.") : null,
    told.quotes ? quotes(realm, told.quotes) : null,
    told.offer ? offer(told.offer) : null,
  );
}

async function draw({ realm, of }) {
  if (!of) {
    return el(
      "div",
      {},
      ask(realm, ""),
      el("p", {}, "Every price can be explained: who was asked, with what, what it asked in turn, what it said, and what came of it. What a policy decided can be made again on the spot, and must come out the same to the last bit."),
    );
  }
  let node;
  try {
    node = answer(realm, await get(at(realm, `why/${encodeURIComponent(of)}`)));
  } catch (error) {
    node = note("bad", el("p", {}, error.message));
  }
  return el("div", {}, ask(realm, of), node);
}

export const why = { title: "Why this price?", draw, wants: [] };
