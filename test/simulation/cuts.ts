/** Every place where the sockets of an exchange can be cut, once and twice, and what the applications see then. */
import { type Cut, Exchange, type Script } from './exchange.js';

const exchanges = new Map<Script, Exchange>();
const histories = new Map<Script, string>();

/** The exchange on a socket that lasts. */
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

/** A cut after each octet of one side; by turns, both sides notice, or the listener does not. */
export function* cutsOf(script: Script, side: 0 | 1): Generator<Cut> {
  const most = uncut(script).octets[side];
  for (let octets = 0; octets <= most; octets++) yield cutAt(side, octets);
}

/** A cut after each octet of each side, noticed by both sides, and by the dialer alone. */
export function* cutsOnce(script: Script): Generator<readonly [Cut]> {
  for (const side of [0, 1] as const) {
    for (const cut of cutsOf(script, side)) {
      yield [{ ...cut, noticed: 'both' }];
      yield [{ ...cut, noticed: 'dialer' }];
    }
  }
}

/**
 * Cuts of the first socket and of the second, each after every octet of either side that there is: all pairs, or
 * with a stride one of so many, spread evenly.
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

/** How what the applications see differs from what they see on a socket that lasts. */
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

/** Octets that each side reads on the second socket, once the first is cut there. */
function onSecondSocket(script: Script, first: Cut): readonly [number, number] {
  const exchange = new Exchange(script, [first]);
  exchange.run();
  const link = exchange.world.links[1];
  return [link?.delivered(0) ?? 0, link?.delivered(1) ?? 0];
}

function cutAt(side: 0 | 1, octets: number): Cut {
  return { side, octets, noticed: octets % 2 === 0 ? 'both' : 'dialer' };
}
