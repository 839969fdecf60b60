// What a trial came to: the figures that decide, and the whole report as a file.

import { chart } from "../chart.js";
import { el, facts, note, table } from "../dom.js";
import { count, time } from "../show.js";

function download(name, html) {
  const button = el("button", { type: "button" }, "Save the whole report");
  button.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
    el("a", { href: url, download: `${name}-trial.html` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  return button;
}

function revenue(found) {
  if (!found) {
    return null;
  }
  const percent = (row) => (row.change_percent === null ? "–" : `${row.change_percent.toFixed(1)} %`);
  const line = (name, row) => [name, count(row.sales), row.old, row.new, percent(row), count(row.lost)];
  const rows = [line("all", found.total), ...found.apis.map((row) => line(`API ${row.id.slice(0, 10)}…`, row))];
  const number = (text) => ({ text, number: true });
  return table(
    "What the sales paid, and would have paid, in tokens",
    ["Of", number("Sales"), number("Paid"), number("Would have paid"), number("Change"), number("Without a price")],
    rows,
  );
}

function series(found) {
  const points = (name) =>
    found.filter((slot) => slot[name] !== null).map((slot) => ({ x: slot.at_ns / 1e6, y: slot[name] }));
  const [then, now] = [points("old_price"), points("new_price")];
  return then.length + now.length
    ? chart({
        name: "trial-prices",
        title: "Median prices over the time of the log",
        summary: `${then.length} stretches of time with prices as they were, ${now.length} as they would have been.`,
        series: [
          { name: "as it was", kind: "base", shape: "line", points: then },
          { name: "as it would have been", kind: "paid", shape: "dot", points: now },
        ],
        heads: [],
        rows: [],
      })
    : null;
}

/** A trial's outcome. */
export function report(name, { report: found, html }) {
  const spell = (change) => (typeof change === "string" ? change : JSON.stringify(change)).replaceAll("_", " ");
  const changes = found.changes.map((row) => [row.function, spell(row.change), count(row.decisions)]);
  const moment = (ns) => (ns === null ? "–" : time(String(BigInt(Math.round(ns)))));
  return note(
    "plain",
    el("h2", {}, `${name} on past decisions`),
    facts([
      ["Decisions read", count(found.log.decisions)],
      ["Compared", count(found.compared)],
      ["Would differ", count(found.changed)],
      ["From", moment(found.log.from_ns)],
      ["To", moment(found.log.to_ns)],
      ["Unanswerable", count(found.left_out.unanswerable)],
    ]),
    table("How the answers compare", ["Function", "Change", { text: "Decisions", number: true }], changes),
    revenue(found.revenue),
    series(found.series),
    el("details", { "data-name": "assumptions" }, el("summary", {}, "What these figures rest on"), el("ul", {}, found.assumptions.map((line) => el("li", {}, line)))),
    el("div", { class: "buttons" }, download(name, html)),
  );
}
