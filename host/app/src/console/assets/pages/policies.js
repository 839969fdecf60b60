// Policies: what is in force and how it does; deploys, rollbacks and trials by upload, for the operator.

import { at, get, post, query } from "../api.js";
import { el, facts, field, note, replace, say, table } from "../dom.js";
import { bytes, count, micros, short } from "../show.js";
import { report } from "./report.js";

const FIGURES = [
  "Hook",
  { text: "Calls", number: true },
  { text: "p50", number: true },
  { text: "p99", number: true },
  { text: "Refused", number: true },
  { text: "Failed", number: true },
  { text: "Trips", number: true },
  { text: "Fuel a call", number: true },
];

const SHADOWS = [
  "Hook",
  { text: "Asked", number: true },
  { text: "The same", number: true },
  { text: "Different", number: true },
  { text: "p50", number: true },
  { text: "p99", number: true },
];

function figures(policy, all) {
  const own = all.filter((one) => one.revision === policy.revision && !one.shadow);
  const rows = own.map((one) => [
    one.hook,
    count(one.calls),
    micros(one.p50_us),
    micros(one.p99_us),
    count(one.refused),
    count(one.failed),
    count(one.trips),
    count(one.fuel),
  ]);
  return rows.length ? table(`Calls of ${policy.name} since the start`, FIGURES, rows) : null;
}

/** How what runs in a policy's shadow compares: its own next revision, or the policies that its rules name. */
function shadows(policy, { figures: all, policies: others, rules }) {
  const named = rules.filter((rule) => rule.policy === policy.name && rule.shadow).map((rule) => rule.shadow);
  const revisions = others.filter((other) => named.includes(other.name)).map((other) => other.revision);
  const found = all.filter((one) => one.shadow && [policy.shadow, ...revisions].includes(one.revision));
  const rows = found.map((one) => [
    one.hook,
    count(one.calls),
    count(one.same),
    count(one.different),
    micros(one.p50_us),
    micros(one.p99_us),
  ]);
  return policy.shadow || rows.length
    ? table(`The shadow of ${policy.name}, compared with what is in force`, SHADOWS, rows, "It was not asked yet.")
    : null;
}

/** A button that asks once more before it does something. */
function careful(text, question, act) {
  const slot = el("span", { class: "careful" });
  const ask = () => {
    const no = el("button", { type: "button", onclick: () => rest(true) }, "No");
    const yes = el("button", { type: "button", class: "main", onclick: act }, "Yes");
    slot.replaceChildren(el("span", {}, question), yes, no);
    slot.dataset.asking = "";
    no.focus();
  };
  const rest = (focus) => {
    const button = el("button", { type: "button", onclick: ask }, text);
    slot.replaceChildren(button);
    delete slot.dataset.asking;
    if (focus) {
      button.focus();
    }
  };
  rest(false);
  return slot;
}

function actions(policy, change) {
  const { name, state, previous, shadow } = policy;
  const button = (text, what, question) => careful(text, question, () => change(name, what));
  return el(
    "div",
    { class: "buttons" },
    previous.length && state !== "disabled"
      ? button(`Roll ${name} back`, "rollback", `Go back to ${previous[0].slice(0, 10)}…?`)
      : null,
    shadow ? button(`Promote the shadow of ${name}`, "promote", "Put it in force?") : null,
    state === "disabled"
      ? button(`Enable ${name}`, "enable", "Ask it again?")
      : button(`Disable ${name}`, "disable", "Refuse all that its rules cover?"),
  );
}

function card(policy, told, may, change) {
  const rules = told.rules.filter((rule) => rule.policy === policy.name);
  const bound = rules.map((rule) => `${rule.hook}: ${rule.covers}${rule.shadow ? `, with ${rule.shadow} in the shadow` : ""}`);
  const troubles = [policy.reason, ...policy.problems].filter(Boolean);
  return el(
    "section",
    { class: "card", "aria-labelledby": `policy-${policy.name}` },
    el("h3", { id: `policy-${policy.name}` }, policy.name, " ", el("span", { class: `state ${policy.state}` }, policy.state)),
    policy.summary ? el("p", {}, policy.summary) : null,
    troubles.length ? note("warn", el("ul", {}, troubles.map((line) => el("li", {}, line)))) : null,
    facts([
      ["Version", policy.version],
      ["Revision", policy.revision ? el("code", { class: "hash" }, policy.revision) : "–"],
      ["Hooks", policy.hooks.join(", ") || "–"],
      ["Rules", bound.join("; ") || "none: only sellers who choose it get it"],
      ["From", policy.origin ?? "–"],
      ["Signed by", policy.signed_by ?? "nobody"],
      ["Breaker", policy.breaker ? `${policy.breaker}${policy.failures ? `, ${policy.failures} failures in a row` : ""}` : "–"],
      ["Shadow", policy.shadow ? short(policy.shadow) : "none"],
      ["Before it", policy.previous.length ? policy.previous.slice(0, 3).map((id) => el("div", {}, short(id))) : "nothing"],
    ]),
    figures(policy, told.figures),
    shadows(policy, told),
    may ? actions(policy, change) : null,
  );
}

function done(name, what, answer) {
  const { deployed } = answer;
  if (!deployed) {
    return what === "disable" ? `${name} is disabled.` : `${name}: done.`;
  }
  const place = deployed.shadow ? "runs in the shadow" : "is in force";
  const warning = deployed.warning ? ` But: ${deployed.warning}.` : "";
  return `${name} ${deployed.version}, revision ${deployed.revision.slice(0, 10)}…, ${place}.${warning}`;
}

/** The form for a component: what it is, and what to do with it. */
function upload(context, told, outcome) {
  const file = el("input", { type: "file", id: "component", accept: ".wasm,application/wasm" });
  const signature = el("input", { type: "file", id: "component-sig", accept: ".sig" });
  const hours = el("input", { type: "number", id: "trial-hours", min: 1, max: 720, value: 24 });
  const elasticity = el("input", { type: "number", id: "trial-elasticity", min: 0, max: 20, step: "any" });
  const of = el("input", { id: "trial-of", autocomplete: "off", spellcheck: "false" });
  const choose = (value, text, checked) =>
    el(
      "label",
      { class: "choice" },
      el("input", { type: "radio", name: "what", value, checked }),
      text,
    );
  const submit = async (event) => {
    event.preventDefault();
    const [component] = file.files;
    if (!component?.name.endsWith(".wasm")) {
      outcome(note("bad", el("p", {}, "Choose a component first: a file NAME.wasm, where NAME is the policy's.")));
      return;
    }
    const name = component.name.slice(0, -".wasm".length);
    const what = new FormData(event.target).get("what");
    const button = event.target.querySelector("button");
    button.disabled = true;
    try {
      if (what === "trial") {
        await tryOut(context, name, component, { hours: hours.value, of: of.value.trim(), elasticity: elasticity.value }, outcome);
      } else {
        const more = signature.files.length ? { "Bourse-Signature": await hex(signature.files[0]) } : {};
        const answer = await post(at(context.realm, `policies/${encodeURIComponent(name)}/${what}`), component, more);
        outcome(note("good", el("p", {}, done(name, what, answer))));
        await context.again();
      }
    } catch (error) {
      outcome(note("bad", el("p", {}, error.message)));
    } finally {
      button.disabled = false;
    }
  };
  return el(
    "form",
    { class: "card", onsubmit: submit, "aria-labelledby": "upload-title" },
    el("h2", { id: "upload-title" }, "Upload a component"),
    field("Component", file, `NAME.wasm, where NAME is what the policy calls itself; ${bytes(told.component_max)} at most`),
    field("Signature", signature, told.signed_only ? "NAME.wasm.sig: this host takes signed policies alone" : "NAME.wasm.sig, if there is one"),
    el(
      "fieldset",
      {},
      el("legend", {}, "What to do with it"),
      choose("deploy", "Put it in force", true),
      choose("shadow", "Run it in the shadow: asked and compared, never used"),
      choose("trial", "Try it on past decisions: nothing changes"),
    ),
    el(
      "details",
      { "data-name": "trial" },
      el("summary", {}, "Settings of a trial"),
      el(
        "div",
        { class: "row" },
        field("Hours of decisions", hours),
        field("Elasticity", elasticity, "by how many percent sales fall where a price rises by one; empty for none"),
        field("Decisions of", of, "a policy's name, if not this one's, or all"),
      ),
    ),
    el("div", { class: "buttons" }, el("button", { class: "main" }, "Upload")),
  );
}

async function hex(file) {
  const all = new Uint8Array(await file.arrayBuffer());
  return [...all].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function tryOut(context, name, component, settings, outcome) {
  outcome(note("good", el("p", {}, `${name} is being tried on past decisions…`)));
  const answer = await post(at(context.realm, `trial/${encodeURIComponent(name)}`) + query(settings), component);
  outcome(report(name, answer));
}

async function draw(context) {
  const told = await get(at(context.realm, "policies"));
  const may = context.session.change;
  context.outcome ??= el("div", { id: "outcome" });
  const outcome = (node) => {
    replace(context.outcome, node);
    say(node.textContent.slice(0, 200));
  };
  const change = async (name, what) => {
    try {
      const answer = await post(at(context.realm, `policies/${encodeURIComponent(name)}/${what}`));
      outcome(note("good", el("p", {}, done(name, what, answer))));
    } catch (error) {
      outcome(note("bad", el("p", {}, error.message)));
    }
    await context.again();
  };
  // Kept as it is while somebody fills it in.
  context.form ??= may ? upload(context, told, outcome) : null;
  const cards = told.policies.map((policy) => card(policy, told, may, change));
  const named = told.rules.flatMap((rule) => [rule.policy, rule.shadow]);
  const asked = told.figures.map((one) => one.revision);
  // What came with the host and nobody uses is there for those who look for it.
  const idle = ({ name, origin, state, shadow, revision }) =>
    origin === "shipped" && state === "active" && !shadow && !named.includes(name) && !asked.includes(revision);
  const used = cards.filter((_, index) => !idle(told.policies[index]));
  const spare = cards.filter((_, index) => idle(told.policies[index]));
  return el(
    "div",
    {},
    may
      ? context.form
      : note(
          "plain",
          el(
            "p",
            {},
            context.session.token
              ? "To deploy, roll back or try policies, give the operator's token: the button at the top."
              : "Nobody may change policies here: this host has no operator's token. Name a file with http.token_file, and start it again.",
          ),
        ),
    context.outcome,
    el("h2", {}, "In this market"),
    used,
    spare.length
      ? el(
          "details",
          { "data-name": "spare" },
          el("summary", {}, `${spare.length} more that came with the host, and that no rule names`),
          spare,
        )
      : null,
  );
}

export const policies = { title: "Policies", draw, wants: ["policies", "calls"] };
