/** Runs many inputs against one target. Each new input is made from inputs that took new ways through the code. */
import { Random } from '../support/random.js';
import { begin, edgeOf, end, features, forget, newFeatures } from './coverage.js';
import { type Input, inputToText, sizeOf } from './input.js';
import { Mutator } from './mutator.js';
import type { Target } from './target.js';

export interface Crash {
  readonly input: Input;
  readonly error: unknown;
  /** The number of inputs up to the crash. */
  readonly at: number;
}

export class Campaign {
  readonly target: Target;
  /** Inputs that took a way which no earlier input had taken. */
  readonly corpus: Input[] = [];
  inputs = 0;
  mostSteps = 0;
  crash: Crash | undefined;
  #features = 0;
  /**
   * `alive`: inputs of the corpus after which the machine can go on. `isAlive`: whether it can after the last input.
   */
  readonly #alive: Input[] = [];
  #isAlive = false;
  /** The index in `alive` of the last input that was turned into a flood. */
  #flooded = 0;
  readonly #random: Random;
  readonly #mutator: Mutator;

  constructor(target: Target, seed: number) {
    this.target = target;
    this.#random = new Random(seed);
    this.#mutator = new Mutator(this.#random, target.mutator);
    forget();
  }

  /** The number of features seen so far. A feature is a step from block to block, with its rough count. */
  get features(): number {
    return this.#features;
  }

  /** Runs the corpus and the seeds of the target, without changes. */
  start(corpus: readonly Input[]): void {
    for (const input of [...corpus, ...this.target.seeds(this.#random)]) {
      if (this.crash === undefined && this.#findsNew(input).length > 0) this.#keep(input);
    }
  }

  /** Runs new inputs until `count` have run or one has failed. */
  run(count: number): void {
    for (let left = count; left > 0 && this.crash === undefined; left--) {
      const input = this.#next();
      const found = this.#findsNew(input);
      if (found.length === 0) continue;
      const isLong = input.parts.length > MANY_PARTS;
      this.#keep(isLong ? this.#shortest(input, new Set(found)) : input);
    }
  }

  /**
   * A small part of the corpus that takes most of its steps. It contains the inputs with the most steps for their
   * length.
   */
  essence(): Input[] {
    // Floods take too long for a corpus that runs in each test.
    const lean = this.corpus.filter((input) => sizeOf(input).frames < A_FLOOD);
    const left = lean.map((input) => {
      this.#fails(input);
      return { input, length: inputToText(input).length, edges: new Set(features().map(edgeOf)) };
    });
    const chosen: Input[] = [];
    for (;;) {
      const best = left.reduce(
        (one, other) =>
          other.edges.size * one.length > one.edges.size * other.length ? other : one,
        left[0]!,
      );
      if (best.edges.size * CHARACTERS_PER_EDGE < best.length) return chosen;
      chosen.push(best.input);
      for (const edge of best.edges) for (const { edges } of left) edges.delete(edge);
    }
  }

  /** A smaller input that fails in the same way. */
  smallest({ input, error }: Crash): Input {
    const kind = kindOf(error);
    return this.#shrunk(input, (smaller) => {
      const failure = this.#fails(smaller);
      return failure !== undefined && kindOf(failure.error) === kind;
    });
  }

  /** Runs and counts an input. Returns the features that no earlier input had. */
  #findsNew(input: Input): number[] {
    this.inputs += 1;
    const failure = this.#fails(input);
    if (failure !== undefined) {
      this.crash = { input, error: failure.error, at: this.inputs };
      return [];
    }
    const found = newFeatures();
    this.#features += found.length;
    return found;
  }

  #keep(input: Input): void {
    this.corpus.push(input);
    if (this.#isAlive) this.#alive.push(input);
  }

  /** A shorter input that has all of these features. */
  #shortest(input: Input, wanted: ReadonlySet<number>): Input {
    const isAlive = this.#isAlive;
    const shortest = this.#shrunk(input, (shorter) => {
      if (this.#fails(shorter) !== undefined) return false;
      let left = wanted.size;
      for (const feature of features()) if (wanted.has(feature)) left -= 1;
      return left === 0 && this.#isAlive === isAlive;
    });
    this.#isAlive = isAlive;
    return shortest;
  }

  /** Runs an input. Returns its error, if it throws. */
  #fails(input: Input): { readonly error: unknown } | undefined {
    begin(MOST_STEPS + STEPS_PER_OCTET * sizeOf(input).octets);
    try {
      this.#isAlive = this.target.run(input);
      return undefined;
    } catch (error) {
      return { error };
    } finally {
      this.mostSteps = Math.max(this.mostSteps, end());
    }
  }

  /** Removes each part of an input that `holds` does not need. */
  #shrunk(input: Input, holds: (smaller: Input) => boolean): Input {
    let smallest = input;
    const attempt = (parts: Input['parts']): void => {
      const smaller = { scene: smallest.scene, parts };
      if (holds(smaller)) smallest = smaller;
    };
    for (let at = input.parts.length - 1; at >= 0; at--) {
      const part = smallest.parts[at];
      attempt(smallest.parts.toSpliced(at, 1));
      if (part?.kind !== 'octets' || smallest.parts[at] !== part) continue;
      if (part.times > 1) attempt(smallest.parts.with(at, { ...part, times: part.times >> 1 }));
      if (part.joined) attempt(smallest.parts.with(at, { ...part, joined: false }));
    }
    return smallest;
  }

  /** A new input. Sometimes the input is a flood, made from each input of `alive` in turn. */
  #next(): Input {
    const alive = this.#alive;
    if (this.target.mutator.hasFloods && alive.length > 0 && this.#random.chance(FLOODS)) {
      this.#flooded = (this.#flooded + 1) % alive.length;
      return this.#mutator.flood(alive[this.#flooded]!);
    }
    return this.#mutator.mutate(this.#choose(), this.#choose());
  }

  /**
   * An input to change: most often one after which the machine can go on, or a recent one. These lead to new ways.
   */
  #choose(): Input {
    const random = this.#random;
    const inputs = this.#alive.length > 0 && random.chance(0.7) ? this.#alive : this.corpus;
    const place = random.chance(0.5) ? random.next() : 1 - random.next() * random.next();
    return inputs[Math.min(inputs.length - 1, Math.floor(place * inputs.length))]!;
  }
}

/** Two failures are of the same kind if their texts differ in numbers only. */
function kindOf(error: unknown): string {
  return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).replace(
    /\d+/g,
    'n',
  );
}

/** The corpus keeps a line if it has at most this many characters for each step that no other line takes. */
const CHARACTERS_PER_EDGE = 60;
/** Inputs with more parts are worth the time for shortening them. */
const MANY_PARTS = 8;
/** The share of floods. One flood takes as long as a hundred other inputs. */
const FLOODS = 0.003;
const A_FLOOD = 1000;
const MOST_STEPS = 5_000_000;
const STEPS_PER_OCTET = 40;
