// Goes through a list page by page: the host names where the next page begins.

import { el, note, replace, say } from "../dom.js";

/** Buttons for a list that `load` draws from a place on; `load` yields where the next page begins, if there is one. */
export function pager(load) {
  let [place, next] = ["", null];
  const back = el("button", { type: "button", onclick: () => go("") }, "First page");
  const on = el("button", { type: "button", onclick: () => go(next) }, "Next page");
  const failed = el("div");
  const buttons = el("div", { class: "buttons" }, back, on);
  const node = el("div", {}, buttons, failed);

  async function go(to, spoken = true) {
    place = to;
    try {
      next = (await load(to)) ?? null;
      replace(failed, "");
    } catch (error) {
      next = null;
      replace(failed, note("bad", el("p", {}, error.message)));
    }
    back.disabled = place === "";
    on.disabled = next === null;
    buttons.hidden = back.disabled && on.disabled;
    if (spoken) {
      say(place === "" ? "First page" : "Next page");
    }
  }

  return {
    node,
    first: () => go("", false),
    /** The page that is shown, as it is now. */
    again: () => go(place, false),
  };
}
