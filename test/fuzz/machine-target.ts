/** Gives octets to a machine with an application above it. */
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

/**
 * A target for the machine of one side. It starts after the handshake or with the first octet. Its application may
 * act.
 */
export function machine(
  name: string,
  role: 'dialer' | 'listener' | 'either',
  { hasActs = false, isGreeted = true },
): Target {
  // The sender of the octets opens sessions with the other side's parity.
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
      // Memory of the compiler comes and goes, so one trial may exceed the allowance. A real leak exceeds it in each
      // trial.
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
  /** The sentence about too much memory, if the machine holds too much. */
  readonly excess?: string;
}

/** Runs the input in a life. */
function live(life: Life, input: Input): Lived {
  const { octets: size, frames } = sizeOf(input);
  const before = frames > MANY_FRAMES ? heldNow() : undefined;
  if (before !== undefined && life.scene.isDeaf) life.isBlocked = true;
  let late = 0;
  for (const { kind, bytes } of events(input)) {
    if (kind === 'act') perform(life, bytes);
    else life.receive(bytes);
    // The machine discards octets after its end, so a few of them are enough.
    if (life.isOver && (late += 1) > MOST_LATE) break;
  }
  life.prune(0);
  const held = before === undefined ? 0 : (heldNow() ?? before) - before;
  // Some of the input itself is still in memory, for example as the last chunk.
  const allowance = life.allowance + 2 * size;
  const isAlive = !life.isOver;
  life.end();
  if (held <= allowance) return { isAlive };
  const excess = `After ${frames} frames it holds about ${held} octets; ${allowance} would be a lot.`;
  return { isAlive, excess };
}

/** Sets the application's decision about HELLO. */
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
