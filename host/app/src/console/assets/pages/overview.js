// How a market does: its state, its figures, its prices and its last sales.

import { at, get, query } from "../api.js";
import { chart } from "../chart.js";
import { el, facts, note, table } from "../dom.js";
import { about, bytes, count, millis, short, time, tokens, why } from "../show.js";

const SALES = 15;

/** What keeps the market from doing well, in the words of `bourse status`. */
function troubles({ trouble }) {
  return trouble.length
    ? note("warn", el("h2", {}, "To be looked at"), el("ul", {}, trouble.map((line) => el("li", {}, line))))
    : note("good", el("p", {}, "The market trades, and nothing needs to be looked at."));
}

function settles({ local, chain, head, followed, caught_up: caughtUp }) {
  if (local) {
    return "locally, with test tokens";
  }
  const far = caughtUp ? "" : ", still catching up";
  return `on chain ${chain}: block ${followed ?? "none"} of ${head}${far}`;
}

/** What the router turned away, where the market has its own. */
function turnedAway(router) {
  const said = router && `${count(router.asked)} calls and the like, ${count(router.connections)} connections`;
  return said ? [["Turned away since the start", said]] : [];
}

function figures(told) {
  const { ledger, settlement } = told;
  return facts([
    ["Status", told.status],
    ["Sales", count(ledger.sales)],
    ["Last sale", time(ledger.last_sale)],
    ["Offers", count(ledger.offers)],
    ["Live channels", `${count(ledger.live)} of ${count(ledger.channels)}`],
    ["Under way", count(ledger.sent)],
    ["Quotes since the start", count(told.quotes)],
    ["Refusals since the start", count(told.refusals)],
    ["Decisions kept", count(ledger.decisions)],
    ["Commits since the start", count(ledger.commits)],
    ["Ledger", `${bytes(ledger.used_bytes)} of ${bytes(ledger.reserved_bytes)}`],
    ["Disk free", bytes(ledger.disk_free_bytes)],
    ...turnedAway(told.turned_away),
    ["Settles", settles(settlement)],
    ["Started", time(told.since)],
    ["Market", short(told.market)],
    ["Market maker", short(told.maker)],
  ]);
}

/** The chart of one API: the base, what was quoted, what was paid. */
function prices({ api, uri, sales, quotes }) {
  const oldestFirst = (list) => [...list].reverse();
  const points = (list, field) =>
    oldestFirst(list)
      .filter((one) => one[field] !== null)
      .map((one) => ({ x: millis(one.at), y: about(one[field]) }));
  const bases = [...sales, ...quotes].sort((one, other) => (BigInt(one.at) > BigInt(other.at) ? -1 : 1));
  const paid = sales.map((sale) => BigInt(sale.price));
  const summary = paid.length
    ? `${paid.length} of the last sales, from ${tokens(paid.reduce((a, b) => (a < b ? a : b)))} to ${tokens(
        paid.reduce((a, b) => (a > b ? a : b)),
      )}; the newest paid ${tokens(sales[0].price)}. ${quotes.length} of the last quotes.`
    : `No sale of late; ${quotes.length} of the last quotes.`;
  return chart({
    name: api,
    title: uri ? `${uri} (API ${api.slice(0, 10)}…)` : `API ${api}`,
    summary,
    series: [
      { name: "base", kind: "base", shape: "line", points: points(bases, "base") },
      { name: "quoted", kind: "quoted", shape: "ring", points: points(quotes, "price") },
      { name: "paid", kind: "paid", shape: "dot", points: points(sales, "price") },
    ],
    heads: ["Time", { text: "Base", number: true }, { text: "Paid", number: true }],
    rows: sales.slice(0, 50).map((sale) => [time(sale.at), tokens(sale.base), tokens(sale.price)]),
  });
}

/** Rows of sales, for any page that lists them. */
export function saleRows(realm, sales) {
  return sales.map((sale) => [
    time(sale.at),
    short(sale.key),
    tokens(sale.base),
    tokens(sale.price),
    sale.policy ?? (sale.source === "fixed" ? "the offer" : "the seller"),
    short(sale.buyer),
    short(sale.seller),
    why(realm, sale.id, "Why?"),
  ]);
}

export const SALE_HEADS = [
  "Time",
  "Key",
  { text: "Base", number: true },
  { text: "Paid", number: true },
  "Priced by",
  "Buyer",
  "Seller",
  "Explained",
];

async function draw({ realm }) {
  const [told, priced, sold] = await Promise.all([
    get(at(realm, "overview")),
    get(at(realm, "prices")),
    get(at(realm, "sales") + query({ limit: SALES })),
  ]);
  return el(
    "div",
    {},
    troubles(told),
    el("section", { "aria-labelledby": "figures" }, el("h2", { id: "figures" }, "Figures"), figures(told)),
    el(
      "section",
      { "aria-labelledby": "prices" },
      el("h2", { id: "prices" }, "Prices"),
      priced.apis.length
        ? el("div", { class: "charts" }, priced.apis.map(prices))
        : el("p", {}, "Nothing was sold or quoted yet."),
    ),
    el(
      "section",
      { "aria-labelledby": "sales" },
      el("h2", { id: "sales" }, "Last sales"),
      table("The last sales, the newest first", SALE_HEADS, saleRows(realm, sold.sales), "Nothing was sold yet."),
    ),
  );
}

export const overview = {
  title: "Overview",
  draw,
  wants: ["status", "sales", "offers", "channels", "suspended", "quarantined", "quotes", "refusals", "block", "link"],
};
