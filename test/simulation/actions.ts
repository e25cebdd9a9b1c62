/** What applications and networks do in a random life. A new kind of action is one more row. */
import type { AppSession } from './application.js';
import type { End } from './end.js';
import type { Life } from './life.js';

export interface Action {
  readonly name: string;
  /** How often it is done, compared with the others. */
  readonly weight: number;
  run(life: Life): void;
}

export const actions: readonly Action[] = [
  { name: 'open', weight: 8, run: (life) => open(life, life.random.pick(life.ends)) },
  { name: 'send', weight: 34, run: (life) => send(life, life.random.pick(life.sessions)) },
  {
    name: 'burst',
    weight: 2,
    run(life) {
      for (let left = 8; left > 0; left--) send(life, life.random.pick(life.sessions));
    },
  },
  {
    name: 'settle',
    weight: 10,
    run: (life) => life.settle(life.random.integer(0, life.running.length - 1)),
  },
  {
    name: 'settle again',
    weight: 2,
    run: (life) => life.random.pick(life.ended)?.settle('accepted', life.bytes(1)),
  },
  {
    name: 'cancel',
    weight: 6,
    run: ({ random, letters }) =>
      random.pick(letters.filter(({ result }) => result === undefined))?.cancel(),
  },
  {
    name: 'read',
    weight: 3,
    run: ({ random, letters, running }) => {
      const count = random.pick([1, 2, Infinity])!;
      if (random.chance(0.5)) random.pick(letters)?.last.read(count);
      else random.pick(running)?.read(count);
    },
  },
  { name: 'decide', weight: 4, run: (life) => life.decide(life.pending.shift()) },
  {
    name: 'end a session',
    weight: 2,
    run: ({ random, sessions }) => random.pick(sessions)?.close(),
  },
  { name: 'cut', weight: 12, run: cut },
  { name: 'stall', weight: 3, run: stall },
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
    weight: 0.6,
    run: ({ random, ends }) =>
      random.pick(ends.filter(({ half }) => half.bond?.audit !== undefined))?.drain(),
  },
];

/** A session, and at times its first message at once. */
export function open(life: Life, end: End | undefined): void {
  const { random, world } = life;
  const timeout = random.chance(0.3) ? random.integer(1, 400) : Infinity;
  const name = `s${world.all.reduce((sum, { sessions }) => sum + sessions.length, 0)}`;
  const session = end?.open(name, life.bytes(random.integer(0, 50)), timeout);
  if (random.chance(0.3)) send(life, session);
}

/** A message of whatever kind. */
function send(life: Life, session: AppSession | undefined): void {
  const { random, isLarge } = life;
  if (session === undefined) return open(life, random.pick(life.ends));
  const limit = session.channel.half.machine.peer.maxMessage;
  const size = isLarge
    ? random.pick([0, 1, 100, 8192, 8193, random.integer(0, limit), limit, limit + 1])!
    : random.pick([0, 1, 30, 300])!;
  const items = life.hasStreams && random.chance(0.4) ? life.items(limit) : undefined;
  const patience = random.chance(0.1) ? random.integer(50, 400) : 0;
  const letter = session.send(life.bytes(size), {
    oneWay: items === undefined && random.chance(0.2),
    idempotent: random.chance(0.2),
    takesItems: random.chance(0.8),
    endsItems: random.chance(0.9),
    ...(patience > 0 ? { patience } : {}),
    ...(patience === 0 && random.chance(0.3) ? { timeout: random.integer(1, 600) } : {}),
    ...(items === undefined ? {} : { items }),
    ...(random.chance(0.1) ? { metadata: 'v'.repeat(random.integer(0, 900)) } : {}),
  });
  letter.reads = random.chance(0.7);
  life.world.trace(`${letter.name} is sent`);
}

/** The newest socket is gone, somewhere on its way; perhaps only one side notices. */
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
  // The dialer must notice some time, or nobody would bring another socket.
  const never = random.chance(0.3);
  const late = random.pick([0, 0, random.integer(0, 500)])!;
  world.trace(
    `the network loses socket ${world.links.indexOf(link) + 1}, but ${kept.join()} octets`,
  );
  link.cut(kept, late, notices(), never ? undefined : notices());
}

/** The application of one side stands still for a while. */
function stall({ random, world }: Life): void {
  const socket = world.links.at(-1)?.socket(random.integer(0, 1));
  if (socket === undefined || !socket.isReading) return;
  socket.setReading(false);
  world.time.after(random.pick([10, 200, 2000])!, () => socket.setReading(true));
}

function down({ random, world, cuts }: Life): void {
  if (cuts === 0) return;
  world.isDown = true;
  world.time.after(random.pick([20, 500, 4000])!, () => (world.isDown = false));
}
