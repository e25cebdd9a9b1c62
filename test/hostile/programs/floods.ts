/** Floods: frames that are legal, cost their reader work, and change nothing. All of them end in CALM. */
import { FrameType } from '../../../src/wire/index.js';
import {
  cancel,
  connectionCredit,
  frame,
  many,
  NOTHING,
  open,
  pair,
  ping,
  rawFrame,
  send,
  type HostilePeer,
} from '../hostile-peer.js';
import { CORE, NEST, type Program, type Scene } from '../program.js';

/** Frames in one piece. */
const PIECE = 2000;
/** Within the bucket that these frames have, they are served. */
const CALM_OR_SERVED = /^(served|CLOSE\((CALM|FLOW)\))$/;

/** Writes the frames again and again on one connection. */
async function flood(
  scene: Scene,
  prepare: (peer: HostilePeer) => unknown,
  piece: (round: number) => Buffer,
): Promise<string> {
  const peer = await scene.open();
  await prepare(peer);
  let round = 0;
  await peer.pump(scene, () => piece(round++));
  return peer.reactionWithin(1000);
}

const nothing = (): undefined => undefined;
const again = (count: number, octets: Buffer): (() => Buffer) => {
  const piece = Buffer.concat(Array.from({ length: count }, () => octets));
  return () => piece;
};

/** One message that is settled when this resolves. */
async function settled(peer: HostilePeer, name = 'echo', flags = 0): Promise<void> {
  peer.send(open(1, name), send(1, 1, NOTHING, flags));
  await peer.frame(FrameType.ACCEPT);
}

const ROWS: readonly (readonly [
  name: string,
  about: string,
  prepare: (peer: HostilePeer) => unknown,
  piece: (round: number) => Buffer,
])[] = [
  ['flood-ping', 'PING upon PING', nothing, again(PIECE, frame(ping(1)))],
  [
    'flood-pong',
    'PONG that nobody awaits',
    nothing,
    again(PIECE, frame({ type: FrameType.PONG, id: 1 })),
  ],
  ['flood-goaway', 'GOAWAY upon GOAWAY', nothing, again(PIECE, frame({ type: FrameType.GOAWAY }))],
  [
    'flood-credit',
    'CREDIT that raises nothing',
    nothing,
    again(PIECE, frame(connectionCredit(0, 1024, 64 * 2 ** 20))),
  ],
  [
    'flood-ignorable',
    'frames of an unknown ignorable type',
    nothing,
    again(PIECE, rawFrame({ type: 0x99 })),
  ],
  [
    'flood-open-end',
    'OPEN and END in turn',
    nothing,
    (round) =>
      Buffer.concat(
        Array.from({ length: 500 }, (_, index) => {
          const session = 1 + 2 * (round * 500 + index);
          return Buffer.concat([
            frame(open(session, 'echo')),
            frame({ type: FrameType.END, session, meta: { code: 0x0304 } }),
          ]);
        }),
      ),
  ],
  [
    'flood-cancel',
    'CANCEL of a message that is settled',
    settled,
    again(PIECE, frame(cancel(1, 1))),
  ],
  [
    'flood-item',
    'items of a settled message',
    settled,
    again(PIECE, frame({ type: FrameType.ITEM, session: 1, id: 1 })),
  ],
  [
    'flood-item-credit',
    'CREDIT for the items of a stream that is over',
    settled,
    again(
      PIECE,
      rawFrame({
        type: FrameType.CREDIT,
        session: 1,
        id: 1,
        metaLength: 0,
        body: pair(5, 0).subarray(0, 4),
      }),
    ),
  ],
  [
    'flood-closed-credit',
    'CREDIT for a closed session',
    closed,
    again(PIECE, frame({ type: FrameType.CREDIT, session: 1, payload: pair(500, 2 ** 24) })),
  ],
  [
    'flood-closed-send',
    'messages in a closed session',
    closed,
    (round) => many(PIECE, (index) => send(1, 2 + round * PIECE + index)),
  ],
  [
    'flood-refused-open',
    'OPEN of patterns that nobody serves',
    nothing,
    (round) => many(500, (index) => open(1 + 2 * (round * 500 + index), 'x')),
  ],
];

async function closed(peer: HostilePeer): Promise<void> {
  await settled(peer);
  peer.send({ type: FrameType.END, session: 1 });
  await peer.frame(FrameType.END);
}

export const floods: readonly Program[] = [
  ...ROWS.map(([name, about, prepare, piece], index): Program => ({
    name,
    about,
    victim: index % 2 === 0 ? NEST : CORE,
    expect: /^CLOSE\((CALM|FLOW)\)$/,
    attack: (scene) => flood(scene, prepare, piece),
  })),
  {
    name: 'flood-paced-ping',
    about: 'a PING after each PONG, as fast as they come, on 8 connections',
    victim: NEST,
    expect: CALM_OR_SERVED,
    attack: async (scene) => {
      const peers = await Promise.all(Array.from({ length: 8 }, () => scene.open()));
      for (const peer of peers) {
        peer.onFrame = (seen) => {
          if (seen.type === FrameType.PONG && !scene.isOver) peer.send(ping(seen.id + 1));
        };
        peer.send(ping(1));
      }
      const [reaction = ''] = await Promise.all(
        peers.map((peer) => peer.reactionWithin(scene.left)),
      );
      return reaction;
    },
  },
  {
    name: 'idle-1ms',
    about: '300 connections that announce an IDLE of 1 ms, so that the victim pings',
    victim: NEST,
    expect: 'served',
    budget: 32,
    attack: async (scene) => {
      const from = (index: number): string => `127.0.0.${2 + (index % 8)}`;
      const peers = await Promise.all(
        Array.from({ length: 300 }, (_, index) => scene.open({ idle: 1 }, { from: from(index) })),
      );
      const began = performance.now();
      for (const peer of peers) {
        peer.counts.clear();
        peer.onFrame = (seen) => {
          if (seen.type === FrameType.PING) peer.send({ type: FrameType.PONG, id: seen.id });
        };
      }
      await Promise.all(peers.map((peer) => peer.reactionWithin(Math.max(100, scene.left))));
      const pings = peers.reduce((sum, peer) => sum + peer.count(FrameType.PING), 0);
      const rate = pings / peers.length / ((performance.now() - began) / 1000);
      return rate <= 4 ? 'served' : `${rate.toFixed(0)} PINGs a second on each connection`;
    },
  },
];
