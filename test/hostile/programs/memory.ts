/** Memory: peers that make the victim hold what they never take, or never finish. */
import { Flag, FrameType } from '../../../src/wire/index.js';
import {
  connectionCredit,
  frag,
  goesOn,
  GREEDY,
  many,
  NOTHING,
  open,
  send,
  turn,
  type HostilePeer,
} from '../hostile-peer.js';
import { atMost, CORE, NEST, type Program, type Scene } from '../program.js';
import { asking, generous } from './turns.js';

/** MiB for one connection, and for the process: a quarter of the heap of 512 MiB. */
const CONNECTION = 64;
const PROCESS = 128;
/** The victim may end such a peer, or hold it back. */
const BOUNDED = /^(served|CLOSE\((CALM|OVERLOADED|FLOW|STALLED)\)|DROP|LOST)$/;

const ENTRIES = Array.from({ length: 64 }, (_, index) => [`n${index}`, 'v'] as const);

/** Announces all credit, asks once, and reads nothing. */
async function unread(scene: Scene, name: string): Promise<string> {
  const peer = await scene.open(GREEDY);
  peer.deaf().write(asking(name));
  return peer.reactionWithin(scene.left);
}

/** Reads and grants, and never acknowledges. */
async function unacknowledged(scene: Scene, name: string): Promise<string> {
  const peer = await scene.open({ ...GREEDY, caps: 1 });
  peer.write(asking(name));
  return peer.reactionWithin(scene.left);
}

/** `messages` in one session, as fast as the victim's credit lets them. */
async function inOne(
  scene: Scene,
  peer: HostilePeer,
  name: string,
  draft: (id: number) => Parameters<HostilePeer['send']>[0],
): Promise<void> {
  peer.sessions(name);
  let [sent, limit] = [0, 256];
  peer.onFrame = (seen) => {
    if (seen.type === FrameType.CREDIT && seen.session === 1) limit = seen.payload.readUInt32BE(0);
  };
  while (goesOn(scene, peer) && sent < 100_000) {
    const count = Math.min(500, limit - sent);
    if (count > 0) peer.write(many(count, (index) => draft(sent + 1 + index)));
    sent += Math.max(0, count);
    await turn();
  }
}

/** Unfinished messages of about 60 MiB on each of several connections. */
async function unfinished(scene: Scene, connections: number, caps = 0): Promise<HostilePeer[]> {
  const part = Buffer.alloc(60_000);
  const peers: HostilePeer[] = [];
  for (let index = 0; index < connections && !scene.isOver; index++) {
    const peer = await scene.open({ ...GREEDY, caps });
    peers.push(peer);
    peer.sessions('echo', 16);
    let written = 0;
    await peer.pump(scene, () => {
      const [round, session] = [Math.floor(written / 16), 1 + 2 * (written % 16)];
      if (round === 62) return undefined;
      written += 1;
      return round === 0
        ? many(1, () => ({ ...send(session, 1, part, Flag.MORE), meta: { total: 8 * 2 ** 20 } }))
        : many(1, () => frag(session, 1, part));
    });
  }
  return peers;
}

export const memory: readonly Program[] = [
  {
    name: 'rows-unread',
    about: 'asks for an endless stream with all credit, and reads nothing',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    judge: atMost({ stood: 1000 }),
    attack: (scene) => unread(scene, 'rows'),
  },
  {
    name: 'rows-unread-core',
    about: 'the same against a bare listener',
    victim: CORE,
    budget: CONNECTION,
    expect: BOUNDED,
    judge: atMost({ stood: 1000 }),
    attack: (scene) => unread(scene, 'rows'),
  },
  {
    name: 'rows-empty-unread',
    about: 'asks for an endless stream of empty items, and reads nothing',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    judge: atMost({ stood: 1000 }),
    attack: (scene) => unread(scene, 'empties'),
  },
  {
    name: 'rows-no-ack',
    about: 'reads an endless stream, and acknowledges nothing',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    judge: atMost({ stood: 1000 }),
    attack: (scene) => unacknowledged(scene, 'rows'),
  },
  {
    name: 'rows-empty-no-ack',
    about: 'reads an endless stream of empty items, and acknowledges nothing',
    victim: CORE,
    budget: CONNECTION,
    expect: BOUNDED,
    judge: atMost({ stood: 1000 }),
    attack: (scene) => unacknowledged(scene, 'empties'),
  },
  {
    name: 'rows-read',
    about: 'reads and acknowledges 100 endless streams at once',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const peer = await scene.open({ ...GREEDY, caps: 1 });
      generous(peer);
      peer.sessions('rows', 100);
      peer.write(many(100, (index) => send(1 + 2 * index, 1)));
      return peer.reactionWithin(scene.left);
    },
  },
  {
    name: 'big-answers-unread',
    about: 'asks for 1000 answers of 1 MiB, and reads nothing',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    judge: atMost({ mostRunning: 1024 }),
    attack: async (scene) => {
      const peer = await scene.open(GREEDY);
      peer.deaf().sessions('big', 100);
      for (let id = 1; id <= 10; id++) peer.write(many(100, (index) => send(1 + 2 * index, id)));
      return peer.reactionWithin(scene.left);
    },
  },
  {
    name: 'metadata-no-ack',
    about: 'messages with 64 entries of metadata, whose answers are never acknowledged',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const peer = await scene.open({ ...GREEDY, caps: 1 });
      const meta = { metadata: ENTRIES };
      await inOne(scene, peer, 'echo', (id) => ({ ...send(1, id), meta }));
      return peer.reactionWithin(1);
    },
  },
  {
    name: 'metadata-held',
    about: 'messages with 64 entries of metadata for handlers that take long, in 400 sessions',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const peer = await scene.open(GREEDY);
      peer.sessions('hold', 400);
      let id = 0;
      const meta = { metadata: ENTRIES };
      await peer.pump(scene, () => {
        id += 1;
        return id > 250 ? undefined : many(400, (index) => ({ ...send(1 + 2 * index, id), meta }));
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'empty-answers-unread',
    about: '256,000 empty messages in 1000 sessions, whose answers are not read',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const peer = await scene.open(GREEDY);
      peer.deaf().sessions('echo', 1000);
      let id = 0;
      await peer.pump(scene, () => {
        id += 1;
        return id > 256 ? undefined : many(1000, (index) => send(1 + 2 * index, id));
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'upload-empty-items',
    about: 'request streams of empty items, which no handler has read yet, in 1000 sessions',
    victim: NEST,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const peer = await scene.open(GREEDY);
      peer.sessions('upload', 1000);
      let id = 0;
      await peer.pump(scene, () => {
        id += 1;
        if (id > 32) return undefined;
        return Buffer.concat([
          many(1000, (index) => send(1 + 2 * index, id, NOTHING, Flag.STREAM)),
          many(32_000, (index) => ({
            type: FrameType.ITEM,
            session: 1 + 2 * (index % 1000),
            id,
          })),
        ]);
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'open-data',
    about: '1000 sessions with 56 KiB of data in each OPEN',
    victim: CORE,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const peer = await scene.open();
      const payload = Buffer.alloc(56 * 1024);
      for (let index = 0; index < 1000 && !scene.isOver; index++) {
        peer.send({ ...open(1 + 2 * index, 'echo'), payload });
        if (index % 50 === 0) await peer.reactionWithin(5);
      }
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'sessions-many',
    about: '1000 idle sessions on each of 40 connections',
    victim: NEST,
    budget: PROCESS,
    expect: BOUNDED,
    attack: async (scene) => {
      let last = '';
      for (let count = 0; count < 40 && !scene.isOver; count++) {
        const peer = await scene.open();
        peer.sessions('echo', 1000);
        last = await peer.reactionWithin(10);
      }
      return last;
    },
  },
  {
    name: 'unfinished-many',
    about: '60 MiB of unfinished messages on each of 12 connections',
    victim: NEST,
    budget: PROCESS,
    expect: BOUNDED,
    attack: async (scene) => {
      const peers = await unfinished(scene, 12);
      return peers[0]?.reactionWithin(Math.max(1, scene.left)) ?? '';
    },
  },
  {
    name: 'detached-unfinished',
    about: 'the same, and then the sockets are lost',
    victim: CORE,
    budget: PROCESS,
    expect: BOUNDED,
    attack: async (scene) => {
      const peers = await unfinished(scene, 6, 1);
      for (const peer of peers) peer.socket.resetAndDestroy();
      return 'served';
    },
  },
  {
    name: 'requests-unfinished-one',
    about: 'fills the window of one connection with unfinished messages, and begins others',
    victim: NEST,
    budget: CONNECTION + 16,
    expect: BOUNDED,
    attack: async (scene) => {
      const [peer] = await unfinished(scene, 1);
      return peer?.reactionWithin(Math.max(1, scene.left)) ?? '';
    },
  },
  {
    name: 'credit-not-used',
    about: 'grants a stream octet by octet, so that much waits for little',
    victim: CORE,
    budget: CONNECTION,
    expect: BOUNDED,
    attack: async (scene) => {
      const bytes = 131_072;
      const peer = await scene.open({ maxFrame: 65_536, connectionCredit: { opens: 9, bytes } });
      peer.write(asking('rows'));
      let more = 0;
      await peer.pump(scene, () =>
        many(100, () => connectionCredit(peer.sequenced, 1024, bytes + (more += 1))),
      );
      return peer.reactionWithin(1);
    },
  },
];
