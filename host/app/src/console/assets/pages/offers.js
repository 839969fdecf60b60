// Offers: all of them, those placed last first, or what is on sale of one API.

import { at, get, query } from "../api.js";
import { el, field, replace, table } from "../dom.js";
import { short, time, tokens, why } from "../show.js";
import { pager } from "./pager.js";

const HEADS = [
  "Key",
  "Stands",
  "URI",
  { text: "Price", number: true },
  "Priced by",
  { text: "Left", number: true },
  "Placed",
  "Ends",
  "Seller",
  "API",
];

function row(realm, offer) {
  const priced = offer.price === null ? (offer.policy ?? "the market's rule") : "the offer";
  return [
    why(realm, offer.key, short(offer.key)),
    offer.stands,
    offer.uri,
    offer.price === null ? "dynamic" : tokens(offer.price),
    priced,
    offer.copies === null ? "any" : `${offer.remaining} of ${offer.copies}`,
    time(offer.placed),
    offer.expires === null ? "never" : time(offer.expires),
    short(offer.seller),
    short(offer.api),
  ];
}

function page(context) {
  const list = el("div");
  const input = el("input", { id: "offers-api", spellcheck: "false", autocomplete: "off", maxlength: 40 });
  const pages = pager(async (cursor) => {
    const api = input.value.trim();
    const found = await get(at(context.realm, "offers") + query({ api, cursor }));
    const what = api ? "What is on sale of this API, the oldest first" : "All offers, those placed last first";
    replace(list, table(what, HEADS, found.offers.map((offer) => row(context.realm, offer)), "There is no such offer."));
    return found.next;
  });
  const find = el(
    "form",
    {
      class: "row",
      onsubmit: (event) => {
        event.preventDefault();
        pages.first();
      },
    },
    field("Only of the API", input, "32 hex digits; empty for all offers"),
    el("button", {}, "Find"),
  );
  context.pages = pages;
  return el("div", {}, find, list, pages.node);
}

async function draw(context) {
  if (context.pages) {
    await context.pages.again();
    return null;
  }
  const node = page(context);
  await context.pages.first();
  return node;
}

export const offers = { title: "Offers", draw, wants: ["offers", "sales"] };
