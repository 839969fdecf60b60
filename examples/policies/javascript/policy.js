// rising: each sale of the API within the last minute makes the next key a little dearer.
//
//     price = base × min(10 000 + step_bp × sales, max_bp) ÷ 10 000
//
// README.md beside this file has the parameters, and how to build it.

import { demand } from "bourse:policy/market@1.0.0";

const NAME = "rising";
const WHOLE_BP = 10_000n;
const MOST_BP = 1_000_000n;
const WINDOW_MS = 60_000;
const VALID_MS = 5_000;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  properties: {
    base: { type: "string", default: "10", description: "Price without sales, in tokens" },
    step_bp: {
      type: "integer",
      minimum: 0,
      maximum: 1000000,
      default: 100,
      description: "What each sale adds, in hundredths of a percent of the base",
    },
    max_bp: {
      type: "integer",
      minimum: 10000,
      maximum: 1000000,
      default: 30000,
      description: "The most the price can be, in hundredths of a percent of the base",
    },
  },
};

// The exports are named after the interfaces of bourse:policy@1.0.0, their functions after those of the interfaces.

/** The host asks once, when it loads the component. */
export const describe = {
  describe: () => ({
    name: NAME,
    version: "1.0.0",
    summary: "The price rises with each sale of the last minute.",
    paramsSchema: JSON.stringify(SCHEMA),
  }),
};

/** The host asks for each quote. A refusal is thrown, as every error of a `result` is. */
export const pricing = {
  quote(request) {
    const { base, step, max } = settings(request.ctx.params);
    const bound = (amount) => clamp(amount, number(request.floor), number(request.cap));
    // A price that starts below the floor would hide its first steps under it, so the base is bounded too.
    const start = bound(request.base === undefined ? base : number(request.base));
    const { sales } = demand({ tag: "api", val: request.offer.api }, WINDOW_MS);
    const factor = smaller(WHOLE_BP + sales * step, max);
    return {
      amount: limbs(bound((start * factor) / WHOLE_BP)),
      validMs: Math.min(VALID_MS, request.maxValidMs),
    };
  },
};

function settings(json) {
  const refusal = {
    code: "bad_params",
    text: "expected base in tokens and quotes, step_bp of 0 to 1000000, max_bp of 10000 to 1000000, no others",
  };
  let given;
  try {
    given = JSON.parse(json);
  } catch {
    throw refusal;
  }
  const { base = "10", step_bp = 100, max_bp = 30_000, ...others } = given ?? {};
  const whole = (value, least) => Number.isInteger(value) && value >= least && value <= Number(MOST_BP);
  const fine =
    typeof given === "object" &&
    given !== null &&
    !Array.isArray(given) &&
    Object.keys(others).length === 0 &&
    typeof base === "string" &&
    tokens(base) !== undefined &&
    whole(step_bp, 0) &&
    whole(max_bp, Number(WHOLE_BP));
  if (!fine) throw refusal;
  return { base: tokens(base), step: BigInt(step_bp), max: BigInt(max_bp) };
}

/** Base units of 10^-18 tokens from text such as `35` or `0.5`. */
function tokens(text) {
  const parts = /^([0-9]+)(?:\.([0-9]{1,18}))?$/.exec(text);
  if (parts === null) return undefined;
  const units = BigInt(parts[1] + (parts[2] ?? "").padEnd(18, "0"));
  return units < 1n << 256n ? units : undefined;
}

/** A 256-bit amount as one number, and back into its four limbs. */
function number({ l0, l1, l2, l3 }) {
  return l0 | (l1 << 64n) | (l2 << 128n) | (l3 << 192n);
}

function limbs(units) {
  const limb = (index) => BigInt.asUintN(64, units >> BigInt(64 * index));
  return { l0: limb(0), l1: limb(1), l2: limb(2), l3: limb(3) };
}

function clamp(amount, floor, cap) {
  return amount < floor ? floor : smaller(amount, cap);
}

function smaller(a, b) {
  return a < b ? a : b;
}
