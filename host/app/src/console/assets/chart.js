// Draws prices over time: a line or marks for each series, axes with round numbers, and the same in words and as a table.

import { el, svg, table } from "./dom.js";

const HEIGHT = 220;
const LEFT = 56;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;

/** Round steps that cut a range into about `parts`. */
function ticks(low, high, parts) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / parts));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= parts) ?? power * 10;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) {
    found.push(Number(at.toPrecision(12)));
  }
  return found;
}

function clock(ms, span) {
  const date = new Date(ms);
  const two = (part) => String(part).padStart(2, "0");
  const hours = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (span < 10 * 60 * 1000) {
    return `${hours}:${two(date.getSeconds())}`;
  }
  return span < 36 * 3600 * 1000 ? hours : `${two(date.getMonth() + 1)}-${two(date.getDate())} ${hours}`;
}

/** Moments that cut a span of time well. */
function moments(from, to, parts) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 604800];
  const span = (to - from) / 1000 || 1;
  const step = (steps.find((size) => span / size <= parts) ?? Math.ceil(span / parts)) * 1000;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    found.push(at);
  }
  return found;
}

function mark(shape, x, y, kind) {
  if (shape === "ring") {
    return svg("circle", { cx: x, cy: y, r: 3, class: `mark ring ${kind}` });
  }
  return svg("circle", { cx: x, cy: y, r: 3.5, class: `mark ${kind}` });
}

function path(points, place) {
  const steps = points.map(({ x, y }, index) => {
    const [left, top] = place(x, y);
    return index === 0 ? `M${left} ${top}` : `H${left}V${top}`;
  });
  return steps.join("");
}

function draw(width, series, title) {
  const points = series.flatMap((one) => one.points);
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  let [from, to] = [Math.min(...xs), Math.max(...xs)];
  if (to - from < 1000) {
    [from, to] = [from - 500, to + 500];
  }
  let [low, high] = [Math.min(...ys), Math.max(...ys)];
  const margin = (high - low) * 0.1 || Math.abs(high) * 0.1 || 1;
  [low, high] = [Math.max(0, low - margin), high + margin];
  const [right, bottom] = [width - RIGHT, HEIGHT - BOTTOM];
  const round = (number) => Math.round(number * 10) / 10;
  const place = (x, y) => [
    round(LEFT + ((x - from) / (to - from)) * (right - LEFT)),
    round(bottom - ((y - low) / (high - low)) * (bottom - TOP)),
  ];
  const grid = ticks(low, high, 4).map((value) => {
    const [, y] = place(from, value);
    return [
      svg("line", { x1: LEFT, x2: right, y1: y, y2: y, class: "grid" }),
      svg("text", { x: LEFT - 6, y: y + 4, class: "tick", "text-anchor": "end" }, String(value)),
    ];
  });
  const hours = moments(from, to, Math.max(2, Math.floor(width / 140))).map((moment) => {
    const [x] = place(moment, low);
    // A label at an end would leave the drawing.
    const anchor = x > right - 30 ? "end" : x < LEFT + 10 ? "start" : "middle";
    return svg("text", { x, y: HEIGHT - 8, class: "tick", "text-anchor": anchor }, clock(moment, to - from));
  });
  const drawn = series.map((one) =>
    one.shape === "line"
      ? svg("path", { d: path(one.points, place), class: `line ${one.kind}` })
      : one.points.map(({ x, y }) => mark(one.shape, ...place(x, y), one.kind)),
  );
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": title },
    svg("line", { x1: LEFT, x2: right, y1: bottom, y2: bottom, class: "axis" }),
    ...grid.flat(),
    ...hours,
    ...drawn.flat(),
  );
}

/** What a series is, beside the sign it is drawn with. */
function legend(series) {
  const sign = (one) => {
    const drawn =
      one.shape === "line"
        ? svg("line", { x1: 1, x2: 15, y1: 8, y2: 8, class: `line ${one.kind}` })
        : mark(one.shape, 8, 8, one.kind);
    return svg("svg", { width: 16, height: 16, "aria-hidden": "true" }, drawn);
  };
  return el(
    "ul",
    { class: "legend" },
    series.map((one) => el("li", {}, sign(one), one.name)),
  );
}

/**
 * A chart of series `{name, kind, shape: line | dot | ring, points: [{x: ms, y}]}`. `summary` says in words what it shows;
 * `rows` are the figures behind it under `heads`.
 */
export function chart({ title, summary, series, heads, rows, name }) {
  const shown = series.filter((one) => one.points.length);
  const place = el("div", { class: "plot" });
  const figure = el(
    "figure",
    { class: "chart" },
    el("figcaption", {}, title),
    shown.length ? legend(shown) : null,
    place,
    el("p", { class: "hint" }, summary),
    rows.length
      ? el("details", { "data-name": name }, el("summary", {}, "These figures as a table"), table(title, heads, rows))
      : null,
  );
  if (shown.length) {
    let drawn = 0;
    const fit = () => {
      const width = Math.max(240, Math.floor(place.clientWidth));
      if (place.isConnected && width !== drawn) {
        drawn = width;
        place.replaceChildren(draw(width, shown, `${title}. ${summary}`));
      }
    };
    new ResizeObserver(fit).observe(place);
  }
  return figure;
}
