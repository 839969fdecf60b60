// News of a market: a stream of server-sent events, read with `fetch` since that sends the token along.

import { at, headers } from "./api.js";

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;

/** The events of a stream, as far as the console uses them: their data, one at a time. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const event = rest.slice(0, end);
      rest = rest.slice(end + 2);
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) {
        yield JSON.parse(data.slice(6));
      }
    }
  }
}

/**
 * Watches `realm` until the signal it returns is aborted. `told` gets each piece of news; `state` gets `live`, or why it is
 * not.
 */
export function watch(realm, told, state) {
  const control = new AbortController();
  const { signal } = control;
  const rest = (pause) =>
    new Promise((resolve) => {
      setTimeout(resolve, pause);
      signal.addEventListener("abort", resolve, { once: true });
    });
  const run = async () => {
    let pause = FIRST_PAUSE;
    while (!signal.aborted) {
      let why = "The host ended the connection";
      try {
        const response = await fetch(at(realm, "live"), {
          headers: headers(),
          signal,
          cache: "no-store",
          credentials: "omit",
        });
        if (response.ok) {
          for await (const news of events(response.body)) {
            pause = FIRST_PAUSE;
            state("live");
            told(news);
          }
        } else {
          why = (await response.json().catch(() => ({}))).error ?? `The host answered ${response.status}`;
        }
      } catch {
        why = "The host does not answer";
      }
      if (signal.aborted) {
        return;
      }
      state(why);
      await rest(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  };
  run();
  return control;
}
