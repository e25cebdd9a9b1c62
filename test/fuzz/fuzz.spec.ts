import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Random } from '../support/random.js';
import { Campaign } from './campaign.js';
import { hit } from './coverage.js';
import { events, type Input, inputFromText, inputToText } from './input.js';
import { Mutator } from './mutator.js';
import type { Target } from './target.js';
import { targets } from './targets.js';

/** `FUZZ_SEED=n` repeats a run. */
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const INPUTS = 6000;

describe(`Random octets, FUZZ_SEED=${seed}`, () => {
  it('neither crash nor hang the decoder and the machines, nor make them hold what they should not', async () => {
    const { stdout } = await fuzz('--seed', `${seed}`, '--runs', `${INPUTS}`);

    expect(stdout).toMatch(new RegExp(`^\\d+ inputs, 0 crashes$`, 'm'));
    // A much smaller share would show that the corpus no longer fits the code.
    expect(reached(stdout, 'wire')).toBeGreaterThan(0.9);
    expect(reached(stdout, 'protocol')).toBeGreaterThan(0.85);
  }, 120_000);
});

describe('The fuzzer', () => {
  it('finds a way that chance alone does not', () => {
    const campaign = new Campaign(behindDoors(), seed);

    campaign.start([]);
    campaign.run(50_000);

    expect(campaign.crash?.error).toEqual(new Error('Behind three doors.'));
  });

  it('makes what failed small, and it fails in the same way', () => {
    const doors = behindDoors();
    const campaign = new Campaign(doors, seed);
    campaign.start([]);
    campaign.run(50_000);

    const smallest = campaign.smallest(campaign.crash!);

    expect(smallest.parts).toHaveLength(3);
    expect(() => doors.run(smallest)).toThrow('Behind three doors.');
  });

  it('ends a loop that does not end', () => {
    const campaign = new Campaign(
      target(() => {
        for (;;) hit(1);
      }),
      seed,
    );

    campaign.start([]);

    expect(campaign.crash?.error).toMatchObject({ name: 'TooManySteps' });
  });

  it('does the same again with the same seed', () => {
    const lines = [1, 2].map(() => {
      const campaign = new Campaign(behindDoors(), seed);
      campaign.start([]);
      campaign.run(500);
      return campaign.corpus.map(inputToText);
    });

    expect(lines[0]).toEqual(lines[1]);
  });

  it.each(targets)('writes inputs for $name down, and reads them as they were', (real) => {
    const random = new Random(seed);
    const mutator = new Mutator(random, real.mutator);
    const pool = real.seeds(random);
    for (let count = 0; count < 200; count++) {
      pool.push(mutator.mutate(random.pick(pool)!, random.pick(pool)!));
    }

    const lines = pool.map(inputToText);

    expect(lines.map((line) => inputToText(inputFromText(line)))).toEqual(lines);
    expect(lines.map((line) => octetsOf(inputFromText(line)))).toEqual(pool.map(octetsOf));
  });
});

async function fuzz(...args: string[]): Promise<{ readonly stdout: string }> {
  const [loader, program] = ['instrument.mjs', 'main.ts'].map((name) => {
    return new URL(name, import.meta.url);
  });
  const options = ['--expose-gc', '--max-semi-space-size=32', '--import', loader!.href];
  return promisify(execFile)(process.execPath, [...options, fileURLToPath(program!), ...args]);
}

/** The share of the blocks that were reached, according to the output of the program. */
function reached(stdout: string, floor: string): number {
  const [, some, all] = new RegExp(`${floor}/ (\\d+) of (\\d+)`).exec(stdout) ?? [];
  return Number(some) / Number(all);
}

/** A target that calls `hit` itself, as instrumented code does. */
function target(run: Target['run']): Target {
  const seeds = (): Input[] => [inputFromText('? 00 01 02')];
  const mutator = { parity: 1, hasActs: false, hasFloods: false, lastId: () => 0 };
  return { name: 'made up', mutator, seeds, run };
}

/** Fails if three chunks start with certain octets. Its ways tell only how many of them do. */
function behindDoors(): Target {
  return target((input) => {
    hit(0);
    let open = 0;
    for (const { bytes } of events(input)) {
      if (bytes[0] === [0x13, 0x80, 0xff][open]) hit((open += 1));
    }
    if (open === 3) throw new Error('Behind three doors.');
    return true;
  });
}

function octetsOf(input: Input): string[] {
  return [...events(input)].map(({ kind, bytes }) => `${kind} ${bytes.toString('hex')}`);
}
