/** Work: legal messages that want more than their share of handlers, turns and CPU. */
import { Flag, FrameType } from '../../../src/wire/index.js';
import {
  cancel,
  connectionCredit,
  frag,
  frame,
  goesOn,
  GREEDY,
  many,
  NOTHING,
  open,
  pair,
  send,
  turn,
  type HostilePeer,
} from '../hostile-peer.js';
import { atMost, CORE, NEST, type Program, type Scene } from '../program.js';

/** Handlers of one connection, and of the process, that may run at once. */
const MOST_OF_CONNECTION = 1024;
const PIECE = 2000;
/** Messages of a session that the victim lets be unsettled. */
const UNSETTLED = 256;

/** Messages as fast as the victim allows. `flags`: ONEWAY, or none. */
async function messages(scene: Scene, peer: HostilePeer, name: string, flags = 0): Promise<void> {
  peer.sessions(name);
  await peer.frame(FrameType.OPENED);
  let [sent, limit] = [0, UNSETTLED];
  peer.onFrame = (seen) => {
    if (seen.type === FrameType.CREDIT && seen.session === 1) limit = seen.payload.readUInt32BE(0);
  };
  while (goesOn(scene, peer)) {
    const count = Math.min(PIECE, limit - sent);
    if (count > 0) peer.write(many(count, (index) => send(1, sent + 1 + index, NOTHING, flags)));
    sent += Math.max(0, count);
    await turn();
  }
}

/** The peer grants again what comes, and acknowledges it. */
export function generous(peer: HostilePeer, every = 64): void {
  let due = 0;
  peer.onFrame = (seen) => {
    due += 1;
    if (due < every || seen.type === FrameType.CLOSE) return;
    due = 0;
    peer.send(connectionCredit(peer.sequenced, 2 ** 20, 2 ** 29 + peer.received));
  };
}

/** Uploads messages of 8 MiB in fragments of 4096 octets, one after the other, within the victim's credit. */
async function upload(scene: Scene, peer: HostilePeer): Promise<void> {
  const part = Buffer.alloc(4096);
  let [sent, limit, granted] = [0, 4 * 2 ** 20, 64 * 2 ** 20];
  peer.onFrame = ({ type, session, payload }) => {
    if (type !== FrameType.CREDIT || session > 1) return;
    if (session === 1) limit = payload.readUInt32BE(4);
    else granted = payload.readUInt32BE(4);
  };
  peer.sessions('echo');
  peer.send(connectionCredit(0, 2 ** 20, 2 ** 30 - 1));
  for (let frames = 0; goesOn(scene, peer); frames++) {
    const [id, at] = [1 + Math.floor(frames / PARTS), frames % PARTS];
    const flags = at === PARTS - 1 ? 0 : Flag.MORE;
    while (sent + RESERVE > Math.min(limit, granted) && goesOn(scene, peer)) await turn();
    peer.send(at === 0 ? send(1, id, part, flags) : frag(1, id, part, flags));
    sent += part.length;
  }
}

/** Fragments of a message, and the octets that a request leaves to settlements. */
const PARTS = 2048;
const RESERVE = 40_000;

export const turns: readonly Program[] = [
  {
    name: 'one-way',
    about: 'empty one-way messages as fast as they go, on 4 connections',
    victim: NEST,
    budget: 64,
    expect: /^(served|CLOSE\(CALM\))$/,
    attack: async (scene) => {
      const peers = await Promise.all(Array.from({ length: 4 }, () => scene.open(GREEDY)));
      await Promise.all(peers.map((peer) => messages(scene, peer, 'echo', Flag.ONEWAY)));
      return peers[0]?.reactionWithin(1) ?? '';
    },
  },
  {
    name: 'messages',
    about: 'empty messages as fast as they go, on 4 connections',
    victim: NEST,
    budget: 64,
    expect: 'served',
    attack: async (scene) => {
      const peers = await Promise.all(Array.from({ length: 4 }, () => scene.open(GREEDY)));
      await Promise.all(peers.map((peer) => messages(scene, peer, 'echo')));
      return peers[0]?.reactionWithin(1) ?? '';
    },
  },
  {
    name: 'messages-sessions',
    about: 'empty messages in 1000 sessions of one connection, all at once',
    victim: CORE,
    budget: 64,
    expect: 'served',
    attack: async (scene) => {
      const peer = await scene.open(GREEDY);
      peer.sessions('echo', 1000);
      let id = 0;
      await peer.pump(scene, () => {
        id += 1;
        return id > UNSETTLED ? undefined : many(1000, (index) => send(1 + 2 * index, id));
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'gate',
    about:
      'queues 10,000 messages before a pattern with concurrency 1, which an honest client calls',
    victim: NEST,
    budget: 64,
    honest: { pattern: 'gate' },
    expect: 'served',
    attack: async (scene) => {
      const peer = await scene.open();
      peer.sessions('gate', 40);
      for (let id = 1; id <= 250; id++) peer.write(many(40, (index) => send(1 + 2 * index, id)));
      return peer.reactionWithin(scene.left);
    },
  },
  {
    name: 'rapid-reset',
    about: 'SEND and CANCEL in 300 sessions',
    victim: NEST,
    budget: 64,
    expect: /^(served|CLOSE\(CALM\))$/,
    judge: atMost({ mostRunning: 2 * MOST_OF_CONNECTION }),
    attack: async (scene) => {
      const peer = await scene.open();
      peer.sessions('hold', 300);
      let id = 0;
      await peer.pump(scene, () => {
        id += 1;
        if (id > UNSETTLED) return undefined;
        return Buffer.concat([
          many(300, (index) => send(1 + 2 * index, id)),
          many(300, (index) => cancel(1 + 2 * index, id)),
        ]);
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'short-deadlines',
    about: 'messages with a DEADLINE of 1 ms for handlers that take long, in 300 sessions',
    victim: NEST,
    budget: 64,
    expect: /^(served|CLOSE\(CALM\))$/,
    judge: atMost({ mostRunning: 2 * MOST_OF_CONNECTION }),
    attack: async (scene) => {
      const peer = await scene.open();
      peer.sessions('hold', 300);
      let id = 0;
      await peer.pump(scene, () => {
        id += 1;
        if (id > UNSETTLED) return undefined;
        return many(300, (index) => ({ ...send(1 + 2 * index, id), meta: { deadline: 1 } }));
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'detach-running',
    about: 'starts handlers, resets the socket, and comes again as another connection',
    victim: NEST,
    budget: 128,
    expect: 'served',
    judge: atMost({ mostRunning: 4 * MOST_OF_CONNECTION }),
    attack: async (scene) => {
      for (let count = 0; count < 200 && !scene.isOver; count++) {
        const peer = await scene.open({ caps: 1 });
        peer.sessions('hold');
        peer.write(many(UNSETTLED, (index) => send(1, index + 1)));
        await peer.frame(FrameType.OPENED);
        peer.socket.resetAndDestroy();
      }
      return 'served';
    },
  },
  {
    name: 'credit-by-one',
    about: 'raises the window of the connection octet by octet, while 1000 sessions wait for it',
    victim: CORE,
    budget: 64,
    expect: /^(served|CLOSE\(CALM\))$/,
    attack: async (scene) => {
      const bytes = 131_072;
      const peer = await scene.open({
        maxFrame: 65_536,
        connectionCredit: { opens: 1024, bytes },
        sessionCredit: { messages: 256, bytes: 2 ** 20, items: 32 },
      });
      peer.sessions('echo', 1000);
      const payload = Buffer.alloc(1000);
      for (let id = 1; id <= 2; id++) {
        peer.write(many(1000, (index) => send(1 + 2 * index, id, payload)));
      }
      await peer.reactionWithin(Math.min(300, scene.left));
      let more = 0;
      await peer.pump(scene, () =>
        many(200, () => connectionCredit(peer.sequenced, 1024, bytes + (more += 1))),
      );
      return peer.reactionWithin(1);
    },
  },
  {
    name: 'window-full',
    about:
      'keeps the window of the connection nearly full in 500 sessions, and goes on with small messages',
    victim: CORE,
    budget: 128,
    expect: /^(served|CLOSE\((CALM|OVERLOADED|FLOW)\))$/,
    attack: async (scene) => {
      const peer = await scene.open(GREEDY);
      peer.sessions('echo', 501);
      const part = Buffer.alloc(120_000);
      for (let index = 0; index < 500 && !scene.isOver; index++) {
        const session = 3 + 2 * index;
        const pieces = [part.subarray(0, 60_000), part.subarray(0, 60_000)];
        peer.send(
          { ...send(session, 1, pieces[0], Flag.MORE), meta: { total: 200_000 } },
          { type: FrameType.FRAG, session, id: 1, flags: Flag.MORE, payload: pieces[1] ?? NOTHING },
        );
      }
      let [sent, limit] = [0, UNSETTLED];
      peer.onFrame = (seen) => {
        if (seen.type === FrameType.CREDIT && seen.session === 1)
          limit = seen.payload.readUInt32BE(0);
      };
      while (goesOn(scene, peer)) {
        if (sent < limit) peer.send(send(1, (sent += 1), Buffer.alloc(100)));
        else await turn();
      }
      return peer.reactionWithin(1);
    },
  },
  {
    name: 'resume-storm',
    about: 'resumes its own connection, with 256 sessions, as often as the listener lets it',
    victim: NEST,
    budget: 32,
    expect: 'served',
    attack: async (scene) => {
      const peer = await scene.open({ caps: 1 });
      peer.sessions('echo', 256);
      await peer.reactionWithin(200);
      const token = peer.newest.get(FrameType.WELCOME)?.meta.token?.token;
      if (token === undefined) return 'no token';
      const received = peer.sequenced;
      for (let count = 0; count < 5000 && !scene.isOver; count++) {
        const again = await scene.dial();
        again.greet({ meta: { caps: 1, resume: { token, received } } });
        await Promise.race([again.frame(FrameType.WELCOME), again.reactionWithin(500)]);
        again.socket.resetAndDestroy();
      }
      return 'served';
    },
  },
  {
    name: 'fragments',
    about: 'messages of 8 MiB in the smallest fragments, on 2 connections',
    victim: NEST,
    budget: 160,
    expect: 'served',
    attack: async (scene) => {
      const peers = await Promise.all([scene.open(GREEDY), scene.open(GREEDY)]);
      await Promise.all(peers.map((peer) => upload(scene, peer)));
      return peers[0].reactionWithin(1);
    },
  },
  {
    name: 'sessions-credit',
    about: 'raises the credit of 1000 sessions in turn by one message each',
    victim: NEST,
    budget: 32,
    expect: /^(served|CLOSE\(CALM\))$/,
    attack: async (scene) => {
      const peer = await scene.open();
      peer.sessions('echo', 1000);
      let more = 256;
      await peer.pump(scene, () => {
        more += 1;
        return many(1000, (index) => ({
          type: FrameType.CREDIT,
          session: 1 + 2 * index,
          payload: pair(more, 64 * 2 ** 20),
        }));
      });
      return peer.reactionWithin(1);
    },
  },
];

/** The frames with which a peer opens a session and sends one message. */
export const asking = (name: string): Buffer =>
  Buffer.concat([frame(open(1, name)), frame(send(1, 1))]);
