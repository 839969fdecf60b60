// Channels with their balances and, without a chain, the members' accounts.

import { at, get, query } from "../api.js";
import { el, field, replace, table } from "../dom.js";
import { short, time, tokens, why } from "../show.js";
import { pager } from "./pager.js";

const LISTS = {
  payment: "Payment channels of buyers, live",
  paying: "Paying channels of sellers, live",
  "all-payment": "Payment channels, all",
  "all-paying": "Paying channels, all",
  suspended: "Suspended",
  quarantined: "In quarantine",
};

const HEADS = [
  "Channel",
  "State",
  { text: "Left", number: true },
  { text: "In flight", number: true },
  { text: "Spent", number: true },
  { text: "Deposit", number: true },
  { text: "Seq", number: true },
  { text: "Prepaid", number: true },
  { text: "Owed", number: true },
  "Delegate",
  "Actor",
  "Opened",
];

function state(realm, channel) {
  if (channel.quarantined) {
    return "in quarantine";
  }
  if (channel.suspended) {
    const { purchase, why: words } = channel.suspended;
    return el("span", {}, `suspended: ${words} `, why(realm, purchase, "Which purchase?"));
  }
  return channel.bound ? channel.state : `${channel.state}, never used: its delegate is another actor's`;
}

function row(realm, channel) {
  return [
    channel.kind === "payment" ? why(realm, channel.id, short(channel.id)) : short(channel.id),
    state(realm, channel),
    tokens(channel.remaining),
    tokens(channel.inflight),
    tokens(channel.spent),
    tokens(channel.amount),
    channel.seq,
    tokens(channel.prepaid),
    channel.kind === "paying" ? tokens(channel.owed ?? "0") : "–",
    short(channel.delegate),
    short(channel.actor),
    time(channel.opened),
  ];
}

function page(context) {
  const { realm } = context;
  const list = el("div");
  const select = el(
    "select",
    { id: "channels-list", onchange: () => channelPages.first() },
    Object.entries(LISTS).map(([value, text]) => el("option", { value }, text)),
  );
  const channelPages = pager(async (cursor) => {
    const found = await get(at(realm, "channels") + query({ list: select.value, cursor }));
    const rows = found.channels.map((channel) => row(realm, channel));
    replace(list, table(LISTS[select.value], HEADS, rows, "There is no such channel."));
    return found.next;
  });
  const accounts = el("div");
  const accountPages = pager(async (cursor) => {
    const found = await get(at(realm, "accounts") + query({ cursor }));
    const rows = found.accounts.map(({ address, balance, granted }) => [short(address), tokens(balance), tokens(granted)]);
    const heads = ["Member", { text: "Balance", number: true }, { text: "Given by the faucet", number: true }];
    replace(accounts, table("Accounts, by address", heads, rows, "There are no accounts: deposits are on the chain."));
    return found.next;
  });
  context.pages = [channelPages, accountPages];
  return el(
    "div",
    {},
    el("div", { class: "row" }, field("Which channels", select)),
    list,
    channelPages.node,
    el("h2", {}, "Accounts"),
    accounts,
    accountPages.node,
  );
}

async function draw(context) {
  if (context.pages) {
    await Promise.all(context.pages.map((pages) => pages.again()));
    return null;
  }
  const node = page(context);
  await Promise.all(context.pages.map((pages) => pages.first()));
  return node;
}

export const channels = {
  title: "Channels",
  draw,
  wants: ["channels", "sales", "suspended", "quarantined"],
};
