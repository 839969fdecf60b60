// Refusals since the host started: by reason, and the last ones.

import { at, get } from "../api.js";
import { el, table } from "../dom.js";
import { count, time } from "../show.js";

const procedure = (name) => name.replace(/^xbr\.marketmaker\./, "");
const by = ({ policy, code }) => (policy ? `${policy}${code ? ` (${code})` : ""}` : "–");

async function draw({ realm }) {
  const { reasons, others, recent } = await get(at(realm, "refusals"));
  const byReason = reasons.map((reason) => [
    reason.error,
    count(reason.count),
    procedure(reason.procedure),
    by(reason),
    time(reason.last),
    reason.text,
  ]);
  const last = recent.map((refused) => [
    time(refused.at),
    procedure(refused.procedure),
    refused.error,
    by(refused),
    refused.text,
    refused.session ?? "–",
  ]);
  return el(
    "div",
    {},
    el("p", {}, "What callers were refused since the host started. It is kept in memory, and gone with the process."),
    table(
      "Refusals by reason, the most frequent first",
      ["Error", { text: "Times", number: true }, "Procedure", "Policy", "Last", { text: "The last caller was told", long: true }],
      byReason,
      "Nobody was refused anything.",
    ),
    others > 0 ? el("p", {}, `${count(others)} more for reasons that there was no room to tell apart.`) : null,
    table(
      "The last refusals, the newest first",
      ["Time", "Procedure", "Error", "Policy", { text: "The caller was told", long: true }, "Session"],
      last,
      "Nobody was refused anything.",
    ),
  );
}

export const refusals = { title: "Refusals", draw, wants: ["refusals"] };
