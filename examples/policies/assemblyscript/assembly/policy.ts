// rising: each sale of the API within the last minute makes the next key a little dearer.
//
//     price = base × min(10 000 + step_bp × sales, max_bp) ÷ 10 000
//
// README.md in the folder above has the parameters, and how to build it.

import { Amount, Answer, MarketFigures, Params, Request, describeAs } from "./bourse";

export { cabi_realloc, quote_done } from "./bourse";

const NAME = "rising";
const WHOLE_BP: u64 = 10_000;
const MOST_BP: u64 = 1_000_000;
const WINDOW_MS: u32 = 60_000;
const VALID_MS: u32 = 5_000;

/** The host asks once, when it loads the component. */
export function describe(): usize {
  return describeAs(
    NAME,
    "1.0.0",
    "The price rises with each sale of the last minute.",
    `{"type":"object","additionalProperties":false,"properties":{` +
      `"base":{"type":"string","default":"10","description":"Price without sales, in tokens"},` +
      `"step_bp":{"type":"integer","minimum":0,"maximum":1000000,"default":100,` +
      `"description":"What each sale adds, in hundredths of a percent of the base"},` +
      `"max_bp":{"type":"integer","minimum":10000,"maximum":1000000,"default":30000,` +
      `"description":"The most the price can be, in hundredths of a percent of the base"}}}`,
  );
}

/** The host asks for each quote. */
export function quote(at: usize): usize {
  const request = changetype<Request>(at);
  let base: Amount | null = Amount.ofTokens("10");
  let step: u64 = 100;
  let max: u64 = 30_000;

  const params = new Params(request.params);
  while (params.next()) {
    if (params.name == "base") base = Amount.ofTokens(params.takeString());
    else if (params.name == "step_bp") step = params.takeNumber();
    else if (params.name == "max_bp") max = params.takeNumber();
    else params.fail();
  }
  if (params.failed || base === null || step > MOST_BP || max < WHOLE_BP || max > MOST_BP) {
    return Answer.refusal(
      "bad_params",
      "expected base in tokens and quotes, step_bp of 0 to 1000000, max_bp of 10000 to 1000000, no others",
    );
  }

  // A price that starts below the floor would hide its first steps under it, so the base is bounded too.
  const fixed = request.base;
  const start = request.bound(fixed === null ? base : fixed);
  // Sales beyond MOST_BP change nothing, and so nothing here can overflow.
  const sales = min(MarketFigures.ofApi(request.api, WINDOW_MS).sales, MOST_BP);
  const factor = min(WHOLE_BP + sales * step, max);
  const price = request.bound(start.mulDiv(<u32>factor, <u32>WHOLE_BP));
  return Answer.price(price, min(VALID_MS, request.maxValidMs));
}
