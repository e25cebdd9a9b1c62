/** Payloads, names and logs: what the peer's words do behind the frames. */
import { codeName, FrameType } from '../../../src/wire/index.js';
import { many, open, send, type HostilePeer } from '../hostile-peer.js';
import { atMost, NEST, type Program, type Scene } from '../program.js';
import { FORGERY } from '../words.js';

const JSON_VICTIM = { ...NEST, encoding: 'json' } as const;

/** Sends one message in fragments, and says how the victim settled it. */
async function settledAs(scene: Scene, peer: HostilePeer, payload: Buffer): Promise<string> {
  peer.sessions('echo');
  const part = 60_000;
  for (let at = 0; at === 0 || at < payload.length; at += part) {
    const piece = payload.subarray(at, at + part);
    const flags = at + part < payload.length ? 1 : 0;
    if (at === 0) peer.send({ ...send(1, 1, piece, flags), meta: { total: payload.length } });
    else peer.send({ type: FrameType.FRAG, session: 1, id: 1, flags, payload: piece });
    // Large messages wait for credit of their session.
    if (at > 0 && at % (part * 40) === 0) await peer.reactionWithin(30);
  }
  await Promise.race([
    peer.frame(FrameType.REJECT),
    peer.frame(FrameType.ACCEPT),
    peer.reactionWithin(Math.max(500, scene.left)),
  ]);
  const rejected = peer.newest.get(FrameType.REJECT);
  if (rejected !== undefined) return `REJECT(${codeName(rejected.meta.code ?? 0)})`;
  return peer.count(FrameType.ACCEPT) > 0 ? 'ACCEPT' : peer.reactionWithin(1);
}

/** One message with this payload. */
const one = (payload: () => Buffer) => async (scene: Scene) =>
  settledAs(scene, await scene.open(), payload());

/** Frames that each make the victim write a line, until it is enough for a judgement. */
async function noisy(scene: Scene, name: string, payload: Buffer): Promise<string> {
  const peer = await scene.open();
  peer.sessions(name, 100);
  let id = 0;
  await peer.pump(scene, () => {
    id += 1;
    return id > 200 ? undefined : many(100, (index) => send(1 + 2 * index, id, payload));
  });
  return peer.reactionWithin(Math.max(1, scene.left));
}

const NOISY = /^(served|CLOSE\(CALM\))$/;

export const payloads: readonly Program[] = [
  {
    name: 'json-deep',
    about: 'JSON of 3 million open brackets',
    victim: JSON_VICTIM,
    budget: 64,
    expect: 'REJECT(INVALID)',
    judge: atMost({ stood: 500 }),
    attack: one(() => Buffer.alloc(3_000_000, '[')),
  },
  {
    name: 'json-wide',
    about: 'JSON of a million empty lists',
    victim: JSON_VICTIM,
    budget: 64,
    expect: 'REJECT(INVALID)',
    judge: atMost({ stood: 500 }),
    attack: one(() => Buffer.from(`[${'[],'.repeat(1_000_000)}[]]`)),
  },
  {
    name: 'json-values',
    about: 'JSON of two million numbers',
    victim: JSON_VICTIM,
    budget: 64,
    expect: 'REJECT(INVALID)',
    judge: atMost({ stood: 500 }),
    attack: one(() => Buffer.from(`[${'1,'.repeat(1_900_000)}1]`)),
  },
  {
    name: 'json-utf8',
    about: 'JSON with octets that are not UTF-8',
    victim: JSON_VICTIM,
    expect: 'REJECT(INVALID)',
    attack: one(() => Buffer.from([0x22, 0xc0, 0xaf, 0x22])),
  },
  {
    name: 'json-proto',
    about: 'JSON with the key __proto__',
    victim: JSON_VICTIM,
    expect: /^(REJECT\(INVALID\)|ACCEPT without the key)$/,
    attack: async (scene) => {
      const peer = await scene.open();
      const payload = Buffer.from('{"__proto__":{"isAdmin":true},"constructor":1}');
      const reaction = await settledAs(scene, peer, payload);
      const echoed = peer.newest.get(FrameType.ACCEPT)?.payload.toString() ?? '';
      if (reaction !== 'ACCEPT') return reaction;
      return echoed.includes('__proto__') ? 'ACCEPT with the key' : 'ACCEPT without the key';
    },
  },
  {
    name: 'name-alias',
    about: 'opens a pattern by another spelling of its name',
    victim: NEST,
    expect: 'END(NO_SUCH_SESSION)',
    attack: async (scene) => {
      const peer = await scene.open();
      peer.send(open(1, String.raw`"\u0065cho"`));
      await Promise.race([peer.frame(FrameType.OPENED), peer.frame(FrameType.END)]);
      const end = peer.newest.get(FrameType.END);
      return end === undefined ? 'OPENED' : `END(${codeName(end.meta.code ?? 0)})`;
    },
  },
  {
    name: 'log-unknown',
    about: 'opens patterns that nobody serves, on 20 connections, with names that forge lines',
    victim: NEST,
    expect: NOISY,
    attack: async (scene) => {
      let last = '';
      for (let count = 0; count < 20 && !scene.isOver; count++) {
        const peer = await scene.open();
        peer.write(many(900, (index) => open(1 + 2 * index, `${index} ${FORGERY}`)));
        last = await peer.reactionWithin(20);
      }
      return last;
    },
  },
  {
    name: 'log-json',
    about: 'JSON that cannot be parsed',
    victim: JSON_VICTIM,
    budget: 32,
    expect: NOISY,
    attack: (scene) => noisy(scene, 'echo', Buffer.from(`{${FORGERY}`)),
  },
  {
    name: 'log-faults',
    about: 'messages whose handler throws',
    victim: NEST,
    budget: 32,
    expect: NOISY,
    attack: (scene) => noisy(scene, 'fault', Buffer.from('x')),
  },
  {
    name: 'log-events',
    about: "events whose handler throws the sender's words",
    victim: NEST,
    budget: 32,
    expect: NOISY,
    attack: (scene) => noisy(scene, 'told', Buffer.from(FORGERY)),
  },
  {
    name: 'log-refused-streams',
    about: 'streams for a handler that takes none',
    victim: NEST,
    budget: 32,
    expect: NOISY,
    attack: async (scene) => {
      const peer = await scene.open();
      peer.sessions('echo', 100);
      let id = 0;
      await peer.pump(scene, () => {
        id += 1;
        return id > 200
          ? undefined
          : many(100, (index) => send(1 + 2 * index, id, Buffer.alloc(0), 8));
      });
      return peer.reactionWithin(Math.max(1, scene.left));
    },
  },
  {
    name: 'log-close',
    about: 'CLOSE with words that forge lines, again and again',
    victim: NEST,
    expect: 'served',
    attack: async (scene) => {
      for (let count = 0; count < 300 && !scene.isOver; count++) {
        const peer = await scene.open();
        peer.send({ type: FrameType.CLOSE, meta: { code: 0x0101, text: FORGERY } });
        await peer.reactionWithin(10);
        peer.socket.destroy();
      }
      return 'served';
    },
  },
];
