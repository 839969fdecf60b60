// The frame of the console: which market, which page, who asks, and when a page is drawn anew.

import { get, Refused, token } from "./api.js";
import { el, note, replace, say } from "./dom.js";
import { watch } from "./live.js";
import { channels } from "./pages/channels.js";
import { offers } from "./pages/offers.js";
import { overview } from "./pages/overview.js";
import { policies } from "./pages/policies.js";
import { refusals } from "./pages/refusals.js";
import { why } from "./pages/why.js";

const PAGES = { overview, offers, channels, refusals, policies, why };
/** Between two drawings of a page at least. */
const PAUSE = 1000;

const main = document.getElementById("main");
const live = document.getElementById("live");
const select = document.getElementById("realm");
const dialog = document.getElementById("token");

let session = null;
let shown = null;
let watching = null;
let last = {};

/** What the address says: market, page, and what the page is about. */
function address() {
  const [realm, page, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const known = session.markets.some((market) => market.realm === realm);
  return {
    realm: known ? realm : session.markets[0].realm,
    page: known && Object.hasOwn(PAGES, page) ? page : "overview",
    of: rest.join("/"),
  };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function link(realm, page) {
  return `#/${encodeURIComponent(realm)}/${page}`;
}

/** Why something is not shown, and what can be done about it. */
export function trouble(error) {
  const words = error instanceof Refused ? error.message : `The page failed: ${error.message}`;
  const more =
    error.code === "token" ? el("button", { type: "button", onclick: openDialog }, "Give the token") : null;
  return note("bad", el("p", {}, words), more);
}

function frame() {
  const { realm, page } = address();
  const names = Object.entries(PAGES).map(([name, { title }]) =>
    el("li", {}, el("a", { href: link(realm, name), "aria-current": name === page && "page" }, title)),
  );
  replace(document.getElementById("pages"), el("div", { class: "pages" }, names));
  const options = session.markets.map((market) =>
    el("option", { value: market.realm, selected: market.realm === realm }, market.realm),
  );
  select.replaceChildren(...options);
  const operator = document.getElementById("operator");
  operator.textContent = session.change ? "Operator ✓" : "Operator";
  document.title = `${PAGES[page].title} · ${realm} · Bourse console`;
}

/** Draws the page that the address names. */
async function show() {
  const { realm, page, of } = address();
  const moved = shown && (shown.realm !== realm || shown.page !== page);
  const slot = el("div", { class: `page ${page}` });
  const context = { realm, of, session, slot, again: () => draw(mine) };
  const mine = { realm, page, of, context, slot, drawing: false, wanted: false, at: 0 };
  shown = mine;
  frame();
  main.replaceChildren(el("h1", {}, PAGES[page].title), slot);
  if (!watching || watching.realm !== realm) {
    follow(realm);
  }
  await draw(mine);
  if (moved) {
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

/** Draws a page, or draws it anew: one at a time, and not while another took its place. */
async function draw(page) {
  if (page.drawing) {
    page.wanted = true;
    return;
  }
  page.drawing = true;
  do {
    page.wanted = false;
    let node;
    try {
      node = await PAGES[page.page].draw(page.context);
    } catch (error) {
      node = trouble(error);
    }
    if (shown !== page) {
      return;
    }
    if (node) {
      replace(page.slot, node);
    }
    page.slot.dataset.drawn = String(Number(page.slot.dataset.drawn ?? 0) + 1);
    page.at = Date.now();
  } while (page.wanted && (await rest()));
  page.drawing = false;
}

function rest() {
  return new Promise((resolve) => setTimeout(() => resolve(true), PAUSE));
}

/** Follows the news of a market, and draws a page anew when what it shows has changed. */
function follow(realm) {
  watching?.control.abort();
  last = {};
  const told = (news) => {
    const changed = Object.keys(news).filter((name) => JSON.stringify(news[name]) !== JSON.stringify(last[name]));
    const first = Object.keys(last).length === 0;
    last = news;
    const wants = PAGES[shown?.page]?.wants ?? [];
    // Not under the hand of somebody who is asked a question.
    const asking = shown?.slot.querySelector("[data-asking]");
    if (!first && !asking && shown?.realm === realm && changed.some((name) => wants.includes(name))) {
      setTimeout(() => shown && draw(shown), Math.max(0, shown.at + PAUSE - Date.now()));
    }
  };
  const state = (word) => {
    const on = word === "live";
    live.textContent = on ? "Live" : `Not live: ${word}`;
    live.classList.toggle("on", on);
  };
  watching = { realm, control: watch(realm, told, state) };
}

function openDialog() {
  const about = document.getElementById("token-about");
  about.textContent = session.token
    ? session.local
      ? "Whoever has the operator's token may change this host's markets. On this machine everybody may look."
      : "Whoever has the operator's token may look into this host's markets, and change them."
    : "This host has no operator's token, so nobody may change anything here: name a file with http.token_file, and start it again.";
  document.getElementById("token-input").value = "";
  if (!dialog.open) {
    dialog.showModal();
  }
}

async function start() {
  try {
    session = await get("/console/api/session");
  } catch (error) {
    main.replaceChildren(el("h1", {}, "Bourse console"), trouble(error));
    setTimeout(start, 3000);
    return;
  }
  await show();
}

async function use(value) {
  if (value) {
    token.set(value);
  } else {
    token.forget();
  }
  dialog.close();
  watching?.control.abort();
  watching = null;
  await start();
  if (value) {
    say(session.change ? "The host knows this token." : "The host does not know this token.");
  }
}

document.getElementById("operator").addEventListener("click", openDialog);
document.getElementById("token-use").addEventListener("click", () =>
  use(document.getElementById("token-input").value.trim()),
);
document.getElementById("token-input").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    use(event.target.value.trim());
  }
});
document.getElementById("token-forget").addEventListener("click", () => use(""));
document.getElementById("token-close").addEventListener("click", () => dialog.close());
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
select.addEventListener("change", () => {
  location.hash = link(select.value, address().page);
});
window.addEventListener("hashchange", () => session && show());
start();
