/** Malformed frames, at least one of each family of appendix B: the reaction must be the one that PROTOCOL.md names. */
import { Capability, Flag, FrameType, Tag } from '../../../src/wire/index.js';
import {
  cancel,
  connectionCredit,
  field,
  frag,
  frame,
  NOTHING,
  open,
  pair,
  rawFrame,
  send,
} from '../hostile-peer.js';
import { CORE, NEST, type Program } from '../program.js';

const MOST_SOCKETS = 40;
const MIB = 2 ** 20;
const metadata = field(Tag.METADATA, '\x01nv');
const NAMED = field(Tag.NAME, 'echo');

/** An OPEN with this meta. */
const opening = (...fields: Buffer[]): Buffer =>
  rawFrame({ type: FrameType.OPEN, session: 3, body: Buffer.concat(fields) });
const PART = Buffer.alloc(50_000);
const started = frame(send(1, 1, Buffer.alloc(4096), Flag.MORE));

/** The octets come after the handshake and an OPEN of session 1. */
const ROWS: readonly (readonly [name: string, about: string, expect: string, octets: Buffer])[] = [
  [
    'type-unknown',
    'M29: a type that is not assigned',
    'CLOSE(UNSUPPORTED)',
    rawFrame({ type: 0x30, session: 1, id: 1 }),
  ],
  [
    'flag-reserved',
    'M26: a reserved flag',
    'CLOSE(UNSUPPORTED)',
    rawFrame({ type: FrameType.SEND, flags: 0x80, session: 1, id: 1 }),
  ],
  [
    'flag-wrong',
    'M27: a flag that the type does not take',
    'CLOSE(PROTOCOL)',
    rawFrame({ type: FrameType.PING, flags: 1, id: 1 }),
  ],
  [
    'session-sign',
    'M28: a session of 2^31',
    'CLOSE(PROTOCOL)',
    rawFrame({ type: FrameType.SEND, session: 2 ** 31, id: 1 }),
  ],
  [
    'frame-large',
    'M23: a body of 16 MiB, announced',
    'CLOSE(FRAME_SIZE)',
    rawFrame({ type: FrameType.SEND, session: 1, id: 1, metaLength: 0, bodyLength: 0xffffff }),
  ],
  [
    'meta-length',
    'M24: a meta longer than its body',
    'CLOSE(META)',
    rawFrame({ type: FrameType.SEND, session: 1, id: 1, metaLength: 9, bodyLength: 4 }),
  ],
  ['tag-zero', 'M32: the tag 0', 'CLOSE(META)', opening(field(0, ''), NAMED)],
  [
    'tag-reserved',
    'M36: a reserved tag',
    'CLOSE(UNSUPPORTED)',
    opening(NAMED, field(0x0c, 'gzip')),
  ],
  ['tag-twice', 'M35: a field twice', 'CLOSE(META)', opening(NAMED, NAMED)],
  [
    'field-overrun',
    'M33: a field that ends after its meta',
    'CLOSE(META)',
    opening(field(Tag.NAME, 'echo', 9999)),
  ],
  [
    'name-utf8',
    'M39: a name that is not UTF-8',
    'CLOSE(META)',
    opening(field(Tag.NAME, Buffer.from([0xc0, 0xaf]))),
  ],
  [
    'metadata-65',
    'M40: 65 fields of metadata',
    'CLOSE(META)',
    opening(NAMED, ...Array.from({ length: 65 }, () => metadata)),
  ],
  ['hello-twice', 'M8: a second HELLO', 'CLOSE(STATE)', rawFrame({ type: FrameType.HELLO })],
  ['open-parity', 'M43: a session of the other side', 'CLOSE(PROTOCOL)', frame(open(2, 'echo'))],
  ['open-again', 'M44: a number that was used', 'CLOSE(PROTOCOL)', frame(open(1, 'echo'))],
  ['send-unopened', 'M49: a message in no session', 'CLOSE(PROTOCOL)', frame(send(9, 1))],
  ['id-gap', 'M52: an id that is not the next', 'CLOSE(PROTOCOL)', frame(send(1, 7))],
  [
    'messages-beyond',
    'M53: more messages than the credit',
    'CLOSE(FLOW)',
    Buffer.concat([
      frame(open(3, 'hold')),
      ...Array.from({ length: 300 }, (_, index) => frame(send(3, index + 1))),
    ]),
  ],
  [
    'octets-beyond',
    'M54: more octets than the session credit',
    'CLOSE(FLOW)',
    Buffer.concat([
      frame(open(3, 'upload')),
      frame(send(3, 1, NOTHING, Flag.STREAM)),
      ...Array.from({ length: 30 }, () => [
        frame({ type: FrameType.ITEM, session: 3, id: 1, flags: Flag.MORE, payload: PART }),
        frame(frag(3, 1, PART)),
        frame(frag(3, 1, PART)),
        frame(frag(3, 1, PART, 0)),
      ]).flat(),
    ]),
  ],
  [
    'send-unfinished',
    'M55: a message within another',
    'CLOSE(PROTOCOL)',
    Buffer.concat([started, frame(send(1, 2))]),
  ],
  [
    'frag-orphan',
    'M56: a FRAG of no unit',
    'CLOSE(PROTOCOL)',
    frame(frag(1, 1, Buffer.alloc(4096))),
  ],
  [
    'frag-small',
    'M58: a small frame with MORE',
    'CLOSE(PROTOCOL)',
    rawFrame({
      type: FrameType.SEND,
      flags: Flag.MORE,
      session: 1,
      id: 1,
      metaLength: 0,
      body: Buffer.from('x'),
    }),
  ],
  [
    'total-wrong',
    'M113: a message that is not as long as its TOTAL',
    'CLOSE(PROTOCOL)',
    frame({
      type: FrameType.SEND,
      session: 1,
      id: 1,
      meta: { total: 9 },
      payload: Buffer.from('x'),
    }),
  ],
  [
    'settle-unknown',
    'M66: an answer to nothing',
    'CLOSE(PROTOCOL)',
    frame({ type: FrameType.ACCEPT, flags: Flag.REPLY, session: 1, id: 5 }),
  ],
  [
    'item-unasked',
    'M69: an item of no message',
    'CLOSE(PROTOCOL)',
    frame({ type: FrameType.ITEM, session: 1, id: 5 }),
  ],
  [
    'items-beyond',
    'M70: more items than the credit',
    'CLOSE(FLOW)',
    Buffer.concat([
      frame(open(3, 'upload')),
      frame(send(3, 1, NOTHING, Flag.STREAM)),
      ...Array.from({ length: 64 }, () =>
        frame({ type: FrameType.ITEM, session: 3, id: 1, payload: Buffer.from('x') }),
      ),
    ]),
  ],
  ['cancel-unknown', 'M75: a CANCEL of nothing', 'CLOSE(PROTOCOL)', frame(cancel(1, 9))],
  [
    'credit-length',
    'M77: a CREDIT of five octets',
    'CLOSE(PROTOCOL)',
    rawFrame({ type: FrameType.CREDIT, metaLength: 0, body: Buffer.alloc(5) }),
  ],
  [
    'credit-huge',
    'M79: credit of more than 2^30 ahead',
    'CLOSE(FLOW)',
    frame(connectionCredit(0, 1024, 64 * MIB + 2 ** 30 + 2 ** 29)),
  ],
  [
    'credit-unsent',
    'M80: an acknowledgement of frames that nobody sent',
    'CLOSE(PROTOCOL)',
    frame(connectionCredit(500, 1024, 64 * MIB)),
  ],
  [
    'credit-unopened',
    'M81: credit for no session',
    'CLOSE(PROTOCOL)',
    frame({ type: FrameType.CREDIT, session: 99, payload: pair(1, 1) }),
  ],
  [
    'end-twice',
    'M101: a second END',
    'CLOSE(PROTOCOL)',
    Buffer.concat([
      frame(open(3, 'hold')),
      frame(send(3, 1)),
      frame({ type: FrameType.END, session: 3 }),
      frame({ type: FrameType.END, session: 3 }),
    ]),
  ],
  [
    'oneway-stream',
    'M73: one-way and a stream',
    'CLOSE(PROTOCOL)',
    rawFrame({ type: FrameType.SEND, flags: Flag.ONEWAY | Flag.STREAM, session: 1, id: 1 }),
  ],
  [
    'too-large',
    'M61: a message above MAX_MESSAGE',
    'REJECT(TOO_LARGE)',
    frame({
      type: FrameType.SEND,
      session: 1,
      id: 1,
      flags: Flag.MORE,
      meta: { total: 2 ** 40 },
      payload: Buffer.alloc(4096),
    }),
  ],
];

export const malformed: readonly Program[] = [
  ...ROWS.map(([name, about, expect, octets], index): Program => ({
    name,
    about,
    victim: index % 2 === 0 ? NEST : CORE,
    expect,
    attack: async (scene) => {
      let first: string | undefined;
      for (let count = 0; count < MOST_SOCKETS && !scene.isOver; count++) {
        const peer = await scene.open();
        peer.sessions('echo');
        peer.write(octets);
        const isRefused = expect.startsWith('REJECT') && (await peer.frame(FrameType.REJECT));
        const code = peer.newest.get(FrameType.REJECT)?.meta.code;
        const reaction = isRefused
          ? `REJECT(${code === 0x0483 ? 'TOO_LARGE' : code})`
          : await peer.reactionWithin(5000);
        peer.socket.destroy();
        first ??= reaction;
        if (reaction !== first) return `${first}, then ${reaction}`;
      }
      return first ?? 'no socket';
    },
  })),
  {
    name: 'random-frames',
    about: 'sends frames of random fields, on many connections',
    victim: NEST,
    budget: 64,
    expect: 'served',
    attack: async (scene) => {
      for (let count = 0; count < 2000 && !scene.isOver; count++) {
        const peer = await scene.open({ caps: scene.random(2) * Capability.RESUME });
        peer.sessions('echo', 3);
        for (let frames = 0; frames < 20; frames++) {
          const body = Buffer.from(
            Array.from({ length: scene.random(64) }, () => scene.random(256)),
          );
          const metaLength = scene.random(3) === 0 ? scene.random(body.length + 1) : 0;
          const type = scene.random(0x28);
          const flags = scene.random(4) === 0 ? scene.random(32) : 0;
          const [session, id] = [scene.random(8), scene.random(4)];
          peer.write(rawFrame({ type, flags, session, id, metaLength, body }));
        }
        await peer.reactionWithin(20);
        peer.socket.destroy();
      }
      return 'served';
    },
  },
];
