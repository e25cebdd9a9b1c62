/** An application that three octets control: they select the action, its object, and its parameters. */
import type { Life } from './life.js';

const TIMES = [1, 15, 60, 250, 1000, 10_000, 31_000, 61_000] as const;
const SIZES = [0, 1, 500, 8192, 8193, 20_000, 50_000, 150_001] as const;
const ROOMS = [256 * 1024, 1, 5000, 100_000] as const;

export function perform(life: Life, bytes: Buffer): void {
  const [kind = 0, which = 0, how = 0] = bytes;
  ACTS[kind % ACTS.length]?.(life, which, how);
  life.flush();
}

function from<T>(items: readonly T[], which: number): T | undefined {
  return items[which % Math.max(1, items.length)];
}

const ACTS: readonly ((life: Life, which: number, how: number) => void)[] = [
  (life, which, how) => {
    const [session] = life.pending.splice(which % Math.max(1, life.pending.length), 1);
    if (session !== undefined) life.decide(session, how & 3);
  },
  (life, which, how) => {
    const [message] = life.running.splice(which % Math.max(1, life.running.length), 1);
    if (message !== undefined) life.settle(message, how % 6);
  },
  (life, which, how) => {
    life.open('s'.repeat(1 + (which % 8)), how > 200 ? 100 : Infinity);
  },
  (life, which, how) => {
    const session = from(life.sessions, which);
    const size = SIZES[how & 7]!;
    const timeout = (how & 16) === 0 ? Infinity : 1 + which;
    if (session !== undefined) life.send(session, size, (how & 8) !== 0, timeout);
  },
  (life, which) => from(life.sends, which)?.cancel(),
  (life, which) => life.attempt(() => from(life.sessions, which)?.end()),
  (life, which) => life.clock.advance(TIMES[which & 7]!),
  (life, which) => life.clock.skip(TIMES[which & 7]!),
  (life, which) => {
    life.isBlocked = (which & 1) === 1;
    if (!life.isBlocked) life.side.drain(ROOMS[(which >> 1) & 3]);
  },
  (life, which) => {
    life.isTaken = (which & 1) === 0;
  },
  (life) => life.side.machine.ping(() => undefined, life.clock.now()),
  (life) => life.hold(),
  (life) => life.release(),
  (life, which, how) => {
    const session = from(life.sessions, which);
    const patience = how > 200 ? 50 : 0;
    if (session !== undefined) life.stream(session, (how >> 3) % 7, SIZES[how & 7]!, patience);
  },
  (life, which, how) => from(life.running, which)?.read(how % 4),
  (life, which) => from(life.running, which)?.readAll(),
  (life, which, how) => {
    const send = from(life.sends, which);
    if (send === undefined) return;
    send.reads = (how & 1) === 0;
    if ((how & 2) === 0) send.read(how >> 5);
  },
  (life, which, how) => {
    const send = from(life.sends, which);
    if (send?.requestItems?.isReady === true && how < 64) send.requestItems.end();
  },
  (life, which) => life.renew(which % 8),
  (life, _which, how) => {
    if (how > 128 && life.side.status === 'open') life.side.connection.drain();
  },
  (life, which, how) => {
    // A close is rare, because it ends the input's other possibilities.
    if (how > 240) life.side.close(which === 0 ? 0 : 0x9001, 'bye');
  },
  (life, _which, how) => {
    if (how > 240) life.side.lose();
  },
];
