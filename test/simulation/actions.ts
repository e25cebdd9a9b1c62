/** The actions of applications and networks in a random life. For a new kind of action, add a row. */
import type { AppSession } from './app-session.js';
import type { End } from './end.js';
import type { Letter } from './letter.js';
import type { Life } from './life.js';

export interface Action {
  readonly name: string;
  /** How often the action is chosen, relative to the others. */
  readonly weight: number;
  run(life: Life): void;
}

export const actions: readonly Action[] = [
  { name: 'open', weight: 8, run: (life) => void open(life, life.random.pick(life.ends)) },
  { name: 'send', weight: 34, run: (life) => void send(life, anySession(life)) },
  {
    name: 'burst',
    weight: 2,
    run(life) {
      for (let left = 8; left > 0; left--) send(life, anySession(life));
    },
  },
  { name: 'send and give up', weight: 4, run: sendInVain },
  {
    name: 'settle',
    weight: 10,
    run: (life) => life.settle(life.random.integer(0, life.running.length - 1)),
  },
  {
    name: 'settle again',
    weight: 2,
    run: (life) => life.random.pick(life.ended)?.settle(undefined, life.bytes(1)),
  },
  {
    name: 'cancel',
    weight: 6,
    run: ({ random, letters }) => random.pick(unsettled(letters))?.cancel(),
  },
  {
    name: 'cancel all',
    weight: 0.5,
    run({ letters }) {
      for (const letter of unsettled(letters)) letter.cancel();
    },
  },
  {
    name: 'read',
    weight: 3,
    run: ({ random, letters, running }) => {
      const count = random.pick([1, 2, Infinity])!;
      if (random.chance(0.5)) random.pick(letters)?.read(count);
      else random.pick(running)?.read(count);
    },
  },
  { name: 'decide', weight: 4, run: (life) => life.decide(life.pending.shift()) },
  { name: 'end a session', weight: 3, run: (life) => anySession(life)?.close() },
  { name: 'cut', weight: 12, run: cut },
  { name: 'stall', weight: 3, run: stall },
  { name: 'block', weight: 2, run: block },
  { name: 'nobody is reached', weight: 1, run: down },
  {
    name: 'forget',
    weight: 0.4,
    run: ({ world, cuts }) => {
      if (cuts > 0) world.forget();
    },
  },
  {
    name: 'drain',
    weight: 1.2,
    run: ({ random, ends }) => {
      const able = ends.filter(({ half }) => half.bond?.audit !== undefined);
      // Sometimes both sides act at once.
      if (random.chance(0.2)) for (const end of able) end.drain();
      else random.pick(able)?.drain();
    },
  },
  {
    name: 'close',
    weight: 0.3,
    run: ({ random, ends }) => random.pick(ends)?.close('closed'),
  },
];

/** Opens a session. Sometimes sends its first message at once. */
export function open(life: Life, end: End | undefined): AppSession | undefined {
  const { random, world } = life;
  const timeout = random.chance(0.3) ? random.integer(1, 400) : Infinity;
  const name = `s${world.all.reduce((sum, { sessions }) => sum + sessions.length, 0)}`;
  const session = end?.open(name, life.bytes(random.integer(0, 50)), timeout);
  if (random.chance(0.3)) send(life, session);
  if (random.chance(0.05)) session?.close();
  return session;
}

/** A session, in most cases one that still carries messages. */
function anySession({ random, sessions }: Life): AppSession | undefined {
  const live = random.chance(0.9) ? sessions.filter(({ channel }) => !channel.closed) : [];
  return random.pick(live.length > 0 ? live : sessions);
}

function unsettled(letters: readonly Letter[]): Letter[] {
  return letters.filter(({ result }) => result === undefined);
}

/** Sends a message of a random kind. */
function send(life: Life, session: AppSession | undefined): Letter | undefined {
  const { random, isLarge } = life;
  if (session === undefined) {
    open(life, random.pick(life.ends));
    return undefined;
  }
  const limit = session.channel.half.machine.peerLimits.maxMessage;
  const size = isLarge
    ? random.pick([0, 1, 100, 8192, 8193, random.integer(0, limit), limit, limit + 1])!
    : random.pick([0, 1, 30, 300])!;
  const items = life.hasStreams && random.chance(0.4) ? life.items(limit) : undefined;
  const patience = random.chance(0.1) ? random.integer(50, 400) : 0;
  const oneWay = items === undefined && random.chance(0.2);
  const letter = session.send(life.bytes(size), {
    oneWay,
    isCopied: random.chance(0.5),
    idempotent: random.chance(0.2),
    takesItems: !oneWay && random.chance(0.8),
    ...(random.chance(0.2)
      ? { whenOffline: random.pick(['wait', 'fail', 50, 500] as const)! }
      : {}),
    reads: random.chance(0.7) ? Infinity : 1,
    endsItems: random.chance(0.9),
    ...(random.chance(0.05) ? { failsAfter: random.integer(0, 3) } : {}),
    ...(patience > 0 ? { patience } : {}),
    ...(patience === 0 && random.chance(0.3) ? { timeout: random.integer(1, 600) } : {}),
    ...(items === undefined ? {} : { items }),
    ...(random.chance(0.1) ? { metadata: 'v'.repeat(random.integer(0, 900)) } : {}),
  });
  life.world.trace(`${letter.name} is sent`);
  return letter;
}

/** Sends messages, and cancels one of them or closes their session before the tick ends. */
function sendInVain(life: Life): void {
  const { random } = life;
  const session = random.chance(0.8) ? anySession(life) : open(life, random.pick(life.ends));
  const letters = Array.from({ length: random.integer(1, 4) }, () => send(life, session));
  const letter = random.pick(letters);
  const way = random.integer(0, 5);
  if (way < 3) letter?.cancel();
  else if (way === 3) session?.close();
  else void Promise.resolve().then(() => letter?.cancel());
}

/** Cuts one of the newest sockets at a random octet. Either side may fail to notice the cut at once. */
function cut(life: Life): void {
  const { random, world, cuts } = life;
  if (!random.chance(Math.min(1, cuts))) return;
  const link = random.pick(world.links.slice(-2));
  if (link === undefined || link.isCut) return;
  const kept = [0, 1].map((side) =>
    random.chance(0.3) ? 0 : random.integer(0, link.held(side)),
  ) as [number, number];
  const notices = (): number | undefined =>
    random.pick([0, 0, random.integer(0, 50), random.integer(0, 3000)]);
  // The dialer must notice the cut at some time, because only the dialer opens another socket.
  const never = random.chance(0.3);
  const late = random.pick([0, 0, random.integer(0, 500)])!;
  world.trace(
    `the network loses socket ${world.links.indexOf(link) + 1}, but ${kept.join()} octets`,
  );
  link.cut(kept, late, notices(), never ? undefined : notices());
}

/** Stops the reads of one side for a while. */
function stall({ random, world }: Life): void {
  const socket = world.links.at(-1)?.socket(random.integer(0, 1));
  if (socket === undefined || !socket.isReading) return;
  socket.setReading(false);
  world.time.after(random.pick([10, 200, 2000])!, () => socket.setReading(true));
}

/** Stops the kernel of one side from taking octets for a while. The process is not told. */
function block({ random, world }: Life): void {
  const socket = world.links.at(-1)?.socket(random.integer(0, 1));
  if (socket === undefined || socket.isBlocked) return;
  socket.setBlocked(true);
  world.time.after(random.pick([10, 100, 1000])!, () => socket.setBlocked(false));
}

function down({ random, world, cuts }: Life): void {
  if (cuts === 0) return;
  world.reach = random.chance(0.8) ? 'refused' : 'silent';
  world.time.after(random.pick([20, 500, 4000])!, () => (world.reach = 'reached'));
}
