// Makes elements. Text is only ever text: nothing that a stranger wrote becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      continue;
    }
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element with attributes and children; `on…` attributes are listeners. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * A table. `heads` are texts, or `{text, number, long}`; each row is a list of cells, texts or nodes. The first cell of a row
 * names it. Without rows it says `none`.
 */
export function table(caption, heads, rows, none = "There is nothing yet.") {
  const columns = heads.map((head) => (typeof head === "string" ? { text: head } : head));
  const titles = columns.map((column) =>
    el("th", { scope: "col", class: column.number && "number" }, column.text),
  );
  const cell = (value, index) =>
    index === 0
      ? el("th", { scope: "row" }, value)
      : el("td", { class: columns[index].number ? "number" : columns[index].long && "text" }, value ?? "–");
  const body = rows.length
    ? rows.map((row) => el("tr", {}, row.map(cell)))
    : [el("tr", { class: "none" }, el("td", { colspan: columns.length }, none))];
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, titles)),
      el("tbody", {}, body),
    ),
  );
}

/** Pairs of a name and a value. */
export function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs.map(([name, value]) =>
      el(
        "div",
        // A hash is read, if ever, as a whole.
        { class: value instanceof Element && value.className === "hash" && "whole" },
        el("dt", {}, name),
        el("dd", {}, value ?? "–"),
      ),
    ),
  );
}

/** A field with its label. */
export function field(label, control, hint) {
  const about = hint ? el("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (about) {
    control.setAttribute("aria-describedby", about.id);
  }
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, about);
}

/** A note; `kind` is `bad`, `warn` or `good`. */
export function note(kind, ...children) {
  return el("div", { class: `note ${kind}` }, ...children);
}

/** Says something to whoever listens to the page rather than looks at it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/**
 * Puts `node` in the place of what `slot` holds. What has the focus keeps it, if it is there again, and what was opened stays
 * open: pages are drawn anew while somebody reads them.
 */
export function replace(slot, node) {
  const focused = slot.contains(document.activeElement) ? document.activeElement : null;
  const name = focused?.getAttribute("href") ?? focused?.id ?? focused?.getAttribute("aria-label");
  const opened = [...slot.querySelectorAll("details[open]")].map((details) => details.dataset.name);
  const scrolled = [...slot.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
  slot.replaceChildren(node);
  slot.querySelectorAll("details").forEach((details) => {
    details.open = details.open || (details.dataset.name && opened.includes(details.dataset.name));
  });
  slot.querySelectorAll(".scroll").forEach((part, index) => {
    part.scrollLeft = scrolled[index] ?? 0;
  });
  if (name) {
    const again = [...slot.querySelectorAll("a, button, input, select, [tabindex]")].find(
      (element) =>
        element.getAttribute("href") === name || element.id === name || element.getAttribute("aria-label") === name,
    );
    again?.focus({ preventScroll: true });
  }
}
