/** Cuts the sockets of an exchange at each possible octet, once or twice, and compares what the applications see. */
import { type Cut, Exchange, type Script } from './exchange.js';

const exchanges = new Map<Script, Exchange>();
const histories = new Map<Script, string>();

/** The exchange without a cut. */
export function uncut(script: Script): Exchange {
  let exchange = exchanges.get(script);
  if (exchange === undefined) {
    exchange = new Exchange(script, []);
    exchange.run();
    exchanges.set(script, exchange);
    histories.set(script, exchange.history);
  }
  return exchange;
}

/** One cut after each octet of one side. In turn, both sides notice the cut, or only the dialer does. */
export function* cutsOf(script: Script, side: 0 | 1): Generator<Cut> {
  const most = uncut(script).octets[side];
  for (let octets = 0; octets <= most; octets++) yield cutAt(side, octets);
}

/** One cut after each octet of each side: first noticed by both sides, then by the dialer alone. */
export function* cutsOnce(script: Script): Generator<readonly [Cut]> {
  for (const side of [0, 1] as const) {
    for (const cut of cutsOf(script, side)) {
      yield [{ ...cut, noticed: 'both' }];
      yield [{ ...cut, noticed: 'dialer' }];
    }
  }
}

/**
 * One cut of the first socket and one of the second, after each octet of either side. Yields all pairs, or, with a
 * `stride`, each stride-th pair.
 */
export function* cutsTwice(script: Script, stride = 1): Generator<readonly [Cut, Cut]> {
  let next = 0;
  for (const side of [0, 1] as const) {
    for (const first of cutsOf(script, side)) {
      const [dialers, listeners] = onSecondSocket(script, first);
      const count = dialers + listeners + 2;
      for (; next < count; next += stride) {
        const second = next <= dialers ? cutAt(0, next) : cutAt(1, next - dialers - 1);
        yield [first, second];
      }
      next -= count;
    }
  }
}

/** The first difference between the history with these cuts and the history without cuts. */
export function firstDifference(script: Script, cuts: readonly Cut[]): string | undefined {
  uncut(script);
  const expected = histories.get(script)?.split('\n') ?? [];
  const exchange = new Exchange(script, cuts);
  try {
    exchange.run();
    const seen = exchange.history.split('\n');
    const line = seen.find((each, at) => each !== expected[at]);
    return line ?? (seen.length < expected.length ? 'Something is missing.' : undefined);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The octets of each side that are read on the second socket if the first socket is cut there. */
function onSecondSocket(script: Script, first: Cut): readonly [number, number] {
  const exchange = new Exchange(script, [first]);
  exchange.run();
  const link = exchange.world.links[1];
  return [link?.delivered(0) ?? 0, link?.delivered(1) ?? 0];
}

function cutAt(side: 0 | 1, octets: number): Cut {
  return { side, octets, noticed: octets % 2 === 0 ? 'both' : 'dialer' };
}
