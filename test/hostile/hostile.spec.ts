/**
 * A short share of `npm run hostile`: each kind of attack once, with the real processes. Judges reactions, memory, errors
 * and logs. It does not judge times, because other specs run at the same time.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OPEN } from './open.js';
import { programs } from './programs/index.js';
import { Arena, type Measured } from './trial.js';
import { faultsOf } from './verdict.js';

const SECONDS = 0.4;
const SEED = Number(process.env['HOSTILE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** A server process starts within this time also if all cores are busy. */
const PATIENCE = 90_000;

const SHARE = ['stranger-http', 'frame-large', 'flood-ping', 's-welcome-empty'];

const sound: Measured = {
  reaction: 'DROP',
  quiet: { calls: 9, p50: 1, p99: 2, errors: [] },
  attacked: { calls: 9, p50: 1, p99: 2, errors: [] },
  burnt: { calls: 9, p50: 1, p99: 30, errors: [] },
  held: 0,
  peak: 0,
  attackerCpu: 1,
  victimCpu: 1,
  counters: { mostRunning: 0, hooks: 0, mostHooks: 0, stood: 0, failures: {}, words: '' },
  lines: 0,
  octets: 0,
  text: '',
};

describe('The attack programs', () => {
  it('are at least 60, and each has a name of its own', () => {
    const names = programs.map(({ name }) => name);

    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(60);
  });

  it('are marked as open by their names only', () => {
    const names = programs.map(({ name }) => name);

    expect(Object.keys(OPEN).filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('The judge of a trial', () => {
  const program = programs.find(({ name }) => name === 'stranger-http');
  const judged = (change: Partial<Measured>): string[] =>
    program === undefined ? [] : faultsOf(program, { ...sound, ...change }, true);

  it('finds no fault if the victim reacts, and nobody else notices', () => {
    expect(judged({})).toEqual([]);
  });

  it.each<[string, Partial<Measured>, RegExp]>([
    ['another reaction', { reaction: 'served' }, /^reaction served instead of DROP$/],
    ['memory', { held: 40 * 2 ** 20 }, /^holds 40 MiB, allowed are 32$/],
    ['an error', { attacked: { ...sound.attacked, errors: ['lost'] } }, /^honest errors: lost$/],
    ['silence', { attacked: { ...sound.attacked, calls: 0 } }, /^no honest call/],
    ['slowness', { attacked: { ...sound.attacked, p99: 100 } }, /^honest p99 × 3 \(100 ms\)$/],
    ['a flood of lines', { lines: 101 }, /^101 lines of log$/],
    ['an escape sequence in the log', { text: 'a\u001b[2Jb\n' }, /^raw control characters/],
    ['a forged line in the log', { text: 'a\n[Nest] 1 LOG FORGED\n' }, /^a forged line/],
  ])('finds %s', (_what, change, fault) => {
    expect(judged(change)).toEqual([expect.stringMatching(fault)]);
  });
});

describe(`Beside an honest client, with seed ${SEED}`, () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await Arena.open();
  }, PATIENCE);

  afterAll(() => arena.close());

  it.each(programs.filter(({ name }) => SHARE.includes(name)))(
    'a peer that does this is harmless: $about ($name)',
    async (program) => {
      const measured = await arena.run(program, SECONDS, SEED);

      expect(faultsOf(program, measured, false)).toEqual([]);
    },
    PATIENCE,
  );
});
