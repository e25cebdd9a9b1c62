/** Octets to a machine, with an application above it. */
import { validFrames } from '../vectors/vectors.js';
import { perform } from './application.js';
import { greeting, nextFrame, Story } from './frames.js';
import { act, events, type Input, octets, type Part, sizeOf } from './input.js';
import { Life } from './life.js';
import { lastIdOf, SCENE_LENGTH, sceneOf } from './scene.js';
import type { Target } from './target.js';

const PREFACE = Buffer.from('f1494e54430d0a01', 'hex');
const SEEDS = 40;
const MANY_FRAMES = 1500;
const MOST_LATE = 3;
const TRIALS = 3;

/** The machine of one side, after its handshake or from the first octet, with an application that acts or not. */
export function machine(
  name: string,
  role: 'dialer' | 'listener' | 'either',
  { hasActs = false, isGreeted = true },
): Target {
  // Who sends the octets opens sessions of the other side's parity.
  const parity = role === 'dialer' ? 2 : 1;
  return {
    name,
    mutator: { parity, hasActs, hasFloods: true, lastId: lastIdOf },
    seeds: (random) => {
      const inputs: Input[] = [];
      for (let count = 0; count < SEEDS; count++) {
        const scene = count === 0 ? Buffer.alloc(SCENE_LENGTH) : random.bytes(SCENE_LENGTH);
        const type = (role === 'either' ? sceneOf(scene).role : role) === 'dialer' ? 2 : 1;
        const parts: Part[] = isGreeted ? [] : [octets(PREFACE), octets(greeting(random, type))];
        for (let left = random.integer(0, 12); left > 0; left--) {
          const story = new Story(parts, parity, lastIdOf(scene));
          parts.push(octets(nextFrame(random, story)));
          if (hasActs && random.chance(0.5)) parts.push(act(...random.bytes(3)));
        }
        inputs.push({ scene, parts });
      }
      const frames = validFrames.map(({ bytes }) => octets(bytes));
      for (const frame of frames)
        inputs.push({ scene: Buffer.alloc(SCENE_LENGTH), parts: [frame] });
      return inputs;
    },
    run: (input) => {
      const scene = sceneOf(input.scene);
      const side = role === 'either' ? scene.role : role;
      // The compiler's own memory comes and goes; what is held for good is held every time.
      for (let trial = 1; ; trial++) {
        const life = new Life(side, scene);
        if (isGreeted) life.greet();
        else judge(life);
        const { isAlive, excess } = live(life, input);
        if (excess === undefined) return isAlive;
        if (trial === TRIALS) throw new Error(excess);
      }
    },
  };
}

interface Lived {
  readonly isAlive: boolean;
  /** What is wrong with the memory that it takes, if something is. */
  readonly excess?: string;
}

/** Runs the input. */
function live(life: Life, input: Input): Lived {
  const { octets: size, frames } = sizeOf(input);
  const before = frames > MANY_FRAMES ? heldNow() : undefined;
  if (before !== undefined && life.scene.isDeaf) life.isBlocked = true;
  let late = 0;
  for (const { kind, bytes } of events(input)) {
    if (kind === 'act') perform(life, bytes);
    else life.receive(bytes);
    // What comes after the end is discarded: a little of it will do.
    if (life.isOver && (late += 1) > MOST_LATE) break;
  }
  life.prune(0);
  const held = before === undefined ? 0 : (heldNow() ?? before) - before;
  // The input itself is here, as the chunk that came last perhaps.
  const allowance = life.allowance + 2 * size;
  const isAlive = !life.isOver;
  life.end();
  if (held <= allowance) return { isAlive };
  const excess = `After ${frames} frames it holds about ${held} octets; ${allowance} would be a lot.`;
  return { isAlive, excess };
}

/** What the application says to HELLO. */
function judge({ side, scene }: Life): void {
  side.onHandshake = () => {
    if (scene.judgement === 'accept') side.accept();
    if (scene.judgement === 'refuse') side.handshake.refuse(0x0201, 'no', Buffer.alloc(10));
    if (scene.judgement === 'close') side.close();
  };
}

function heldNow(): number | undefined {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return globalThis.gc === undefined ? undefined : heapUsed + external;
}
