import { describe, expect, it } from '@jest/globals';
import { cutsOf, cutsTwice, firstDifference, uncut } from './cuts.js';
import { inMacrotask } from './virtual-node.js';
import { type Cut, FRAGMENTED, type Script, SMALL } from './exchange.js';

describe('An exchange', () => {
  it('has every type of frame in it', async () => {
    const { types } = await inMacrotask(() => uncut(FRAGMENTED));

    expect([...new Set([...types[0], ...types[1]])].toSorted()).toEqual(ALL_TYPES);
  });

  it.each([
    { from: 'the dialer', side: 0 },
    { from: 'the listener', side: 1 },
  ] as const)(
    'is the same to both applications after whichever octet of $from its socket is cut',
    async ({ side }) => {
      await inMacrotask(() => {
        const runs = expectSame(FRAGMENTED, each(cutsOf(FRAGMENTED, side)));

        expect(runs).toBe(uncut(FRAGMENTED).octets[side] + 1);
      });
    },
    300_000,
  );

  it('is the same wherever two sockets in a row are cut: one pair of 2,003', async () => {
    const runs = await inMacrotask(() => expectSame(SMALL, cutsTwice(SMALL, 2003)));

    expect(runs).toBeGreaterThan(1000);
  }, 300_000);
});

/** Returns how many cuts were tried. */
function expectSame(script: Script, all: Iterable<readonly Cut[]>): number {
  let runs = 0;
  for (const cuts of all) {
    runs += 1;
    const difference = firstDifference(script, cuts);
    if (difference !== undefined) throw new Error(`${JSON.stringify(cuts)}: ${difference}`);
  }
  return runs;
}

function* each(cuts: Iterable<Cut>): Generator<readonly Cut[]> {
  for (const cut of cuts) yield [cut];
}

const ALL_TYPES = [
  'ACCEPT',
  'CANCEL',
  'CLOSE',
  'CREDIT',
  'END',
  'FRAG',
  'GOAWAY',
  'HELLO',
  'ITEM',
  'OPEN',
  'OPENED',
  'PING',
  'PONG',
  'REJECT',
  'SEND',
  'WELCOME',
];
