import { createHash } from 'node:crypto';
import * as crypto from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import type { Connection } from 'nestjs-interconnect/core';

const compared: [Buffer, Buffer][] = [];
jest.unstable_mockModule('node:crypto', () => ({
  ...crypto,
  timingSafeEqual: (one: Buffer, other: Buffer) => {
    compared.push([one, other]);
    return crypto.timingSafeEqual(one, other);
  },
}));
const { Resumables } = await import('../../../src/endpoint/api/resumables.js');

const token = createHash('sha256').update('token').digest();
const connection = { isOver: false } as Connection;
const LIMITS = { all: 8, perAddress: 4 };
const ANYWHERE = { key: '', isCounted: false };

describe('The tokens of a listener', () => {
  it('are compared in a time that does not tell how much is right [IC-17.19]', () => {
    const resumables = new Resumables(LIMITS);
    resumables.add(connection, token, 'me', ANYWHERE, 0);
    const wrong = Buffer.from(token);
    wrong[31]! ^= 1;

    const found = [token, wrong].map((each) => resumables.find(Buffer.from(each), 'me'));

    expect(found).toEqual([connection, undefined]);
    expect(compared.map(([one, other]) => [one.length, other.length])).toEqual([
      [32, 32],
      [32, 32],
    ]);
  });

  it('are those of connections that have not ended, and of one principal [IC-17.18]', () => {
    const resumables = new Resumables(LIMITS);
    const over = { isOver: true } as Connection;
    const other = Buffer.alloc(32, 1);
    resumables.add(connection, token, 'me', ANYWHERE, 0);
    resumables.add(over, other, 'me', ANYWHERE, 0);

    expect(resumables.find(token, 'you')).toBeUndefined();
    expect(resumables.find(other, 'me')).toBeUndefined();
    resumables.delete(connection);
    expect(resumables.find(token, 'me')).toBeUndefined();
  });
});

/** A connection that has written and read so many frames. */
function used(frames: number): Connection {
  return { isOver: false, frames } as Connection;
}

const NOBODY = ' ';
let tokens = 0;
function added(
  resumables: InstanceType<typeof Resumables>,
  one: Connection,
  identity: string,
  group = ANYWHERE,
): Connection {
  tokens += 1;
  resumables.add(one, Buffer.alloc(32, tokens), identity, group, 0);
  return one;
}

describe('The connections without a socket', () => {
  it('that are too many end where most of them are: an honest one outlasts any number of strangers', () => {
    const resumables = new Resumables(LIMITS);
    const honest = added(resumables, used(0), NOBODY, { key: '10.0.0.1', isCounted: true });
    expect(resumables.onDetached(honest)).toEqual([]);

    const strangers = Array.from({ length: 40 }, () => added(resumables, used(9), 'mallory'));
    const ended = strangers.flatMap((each) => resumables.onDetached(each));

    // The oldest of the same principal, each time.
    expect(ended).toEqual(strangers.slice(0, strangers.length - (LIMITS.all - 1)));
  });

  it('of one address are bounded: the least used ends first, and then the oldest', () => {
    const resumables = new Resumables(LIMITS);
    const group = { key: '10.0.0.1', isCounted: true };
    const all = [50, 0, 3000, 0, 50].map((frames) =>
      added(resumables, used(frames), NOBODY, group),
    );

    const ended = all.map((each) => resumables.onDetached(each));
    expect(ended).toEqual([[], [], [], [], [all[1]]]);
    const [another, more] = [used(50), used(50)].map((each) =>
      added(resumables, each, NOBODY, group),
    );

    expect(resumables.onDetached(another!)).toEqual([all[3]]);
    expect(resumables.onDetached(more!)).toEqual([all[0]]);
  });

  it('count no more when they have a socket again, or have ended', () => {
    const resumables = new Resumables(LIMITS);
    const group = { key: '10.0.0.1', isCounted: true };
    for (let round = 0; round < 10; round += 1) {
      const one = added(resumables, used(1), NOBODY, group);
      expect(resumables.onDetached(one)).toEqual([]);
      if (round % 2 === 0) resumables.onAttached(one);
      else resumables.delete(one);
    }
  });

  it('of one principal may be as many as there are places, wherever they are', () => {
    const resumables = new Resumables(LIMITS);
    const group = { key: '10.0.0.1', isCounted: true };

    const all = Array.from({ length: LIMITS.all }, () => added(resumables, used(1), 'us', group));

    expect(all.flatMap((each) => resumables.onDetached(each))).toEqual([]);
  });

  it('are resumed sixty times at once, and five times in a second', () => {
    const resumables = new Resumables(LIMITS);
    const one = added(resumables, used(1), NOBODY);
    const resumes = (now: number): number => {
      let count = 0;
      while (count < 100 && resumables.mayResume(one, now)) count += 1;
      return count;
    };

    expect([resumes(0), resumes(1000), resumes(60_000)]).toEqual([60, 5, 60]);
  });
});
