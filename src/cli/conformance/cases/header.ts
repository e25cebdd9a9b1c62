/** Headers that no frame may have, and some that are legal on any frame. */
import { Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { accept, field, frame, frag, open, ping, send } from '../octets.js';
import { converse } from '../conversation.js';
import { harmless, violation } from './rows.js';

const { MORE, REPLY, ONEWAY, END } = Flag;
const { CANCEL, CLOSE, CREDIT, OPEN, PING, PONG, SEND } = FrameType;

/** The first and the last type of each gap among the assigned types below 0x80. */
const UNKNOWN_TYPES = [0x00, 0x08, 0x0f, 0x13, 0x1f, 0x26, 0x7f];

export const headerCases: readonly ConformanceCase[] = [
  violation(
    'malformed/M10.c',
    ['6.1'],
    'CLOSE with a session',
    () => [frame(CLOSE, { session: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M10.d',
    ['6.1'],
    'CLOSE with an id',
    () => [frame(CLOSE, { id: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M10.e',
    ['6.1'],
    'PING with a session',
    () => [frame(PING, { session: 1, id: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M10.f',
    ['6.1'],
    'PONG with a session',
    () => [frame(PONG, { session: 1, id: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M10.g',
    ['6.1'],
    'GOAWAY with a session',
    () => [frame(FrameType.GOAWAY, { session: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M22.a',
    ['4.1', '4.2'],
    'a body of 2^24 octets is announced, and none comes',
    ({ session }) => [frame(SEND, { session, id: 1, bodyLength: 2 ** 24 })],
    'FRAME_SIZE',
  ),
  violation(
    'malformed/M22.b',
    ['4.1', '4.2'],
    'a body of 2^32 - 1 octets is announced, and none comes',
    ({ session }) => [frame(SEND, { session, id: 1, bodyLength: 2 ** 32 - 1 })],
    'FRAME_SIZE',
  ),
  violation(
    'malformed/M23',
    ['4.1', '4.2', '4.3'],
    'a body one octet above MAX_FRAME is announced, and none comes',
    ({ peer, session }) => [frame(SEND, { session, id: 1, bodyLength: peer.limits.maxFrame + 1 })],
    'FRAME_SIZE',
  ),
  violation(
    'malformed/M24',
    ['4.1', '4.2'],
    'metaLen above bodyLen',
    ({ conversation }) => [
      frame(OPEN, { session: conversation.nextSession(), metaLength: 9, bodyLength: 8 }),
    ],
    'META',
  ),
  violation(
    'malformed/M25',
    ['4.1', '4.2'],
    'metaLen above MAX_META, and no body comes',
    ({ conversation, peer }) => {
      const length = peer.limits.maxMeta + 1;
      const session = conversation.nextSession();
      return [frame(OPEN, { session, metaLength: length, bodyLength: length })];
    },
    'META',
  ),
  ...[0x20, 0x40, 0x80].map((flags, index) =>
    violation(
      `malformed/M26.${'abc'[index]}`,
      ['4.1'],
      `flag ${hex(flags)} on SEND`,
      ({ session }) => [send(session, 1, { flags })],
      'UNSUPPORTED',
    ),
  ),
  violation(
    'malformed/M27.a',
    ['4.1', '6.1'],
    'END on SEND',
    ({ session }) => [send(session, 1, { flags: END })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M27.b',
    ['4.1', '6.1'],
    'ONEWAY on ACCEPT',
    ({ session }) => [accept(session, 1, { flags: ONEWAY })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M27.c',
    ['4.1', '6.1'],
    'REPLY on CANCEL',
    ({ session }) => [frame(CANCEL, { session, id: 1, flags: REPLY })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M27.d',
    ['4.1', '6.1'],
    'MORE on PING',
    () => [frame(PING, { id: 1, flags: MORE })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M28.a',
    ['4.1'],
    'a session of 2^31 or more',
    ({ session }) => [frame(SEND, { session: 0x80000000 + session, id: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M28.b',
    ['4.1'],
    'an id of 2^31 or more',
    ({ session }) => [frame(SEND, { session, id: 0x80000001 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M28.c',
    ['4.1'],
    'a token of 2^31 or more',
    () => [frame(PING, { id: 0x80000001 })],
    'PROTOCOL',
  ),
  ...UNKNOWN_TYPES.map((type, index) =>
    violation(
      `malformed/M29.${'abcdefg'[index]}`,
      ['4.1'],
      `type ${hex(type)}`,
      ({ session }) => [frame(type, { session, id: 1 })],
      'UNSUPPORTED',
    ),
  ),
  harmless(
    'malformed/M30.a',
    ['16.2'],
    'types 0x80, 0x8a and 0xff, with any values in the other header fields',
    () =>
      [0x80, 0x8a, 0xff].map((type) =>
        frame(type, {
          flags: 0xff,
          session: 0xffffffff,
          id: 0xfffffffe,
          meta: field(0x00, 'no field', 99),
          payload: 'anything',
        }),
      ),
  ),
  violation(
    'malformed/M31.a',
    ['4.2', '16.2'],
    'an ignorable type with a body above MAX_FRAME',
    ({ peer }) => [frame(0x8a, { bodyLength: peer.limits.maxFrame + 1 })],
    'FRAME_SIZE',
  ),
  violation(
    'malformed/M31.b',
    ['4.2', '16.2'],
    'an ignorable type with metaLen above bodyLen',
    () => [frame(0x8a, { metaLength: 9, bodyLength: 8 })],
    'META',
  ),
  violation(
    'malformed/M52.a',
    ['6.1'],
    'SEND with id 0',
    ({ session }) => [send(session, 0)],
    'PROTOCOL',
  ),
  violation('malformed/M49.b', ['6.1'], 'SEND with session 0', () => [send(0, 1)], 'PROTOCOL'),
  violation(
    'malformed/M47.c',
    ['6.1'],
    'OPENED with an id',
    ({ session }) => [frame(FrameType.OPENED, { session, id: 1 })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M105.a',
    ['6.1', '6.2'],
    'PING with a meta of one ignorable field',
    () => [frame(PING, { id: 1, meta: field(0x8a) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M105.b',
    ['6.1', '6.2'],
    'PONG with a meta',
    () => [frame(PONG, { id: 1, meta: field(0x8a) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M105.c',
    ['6.1', '6.2'],
    'CREDIT with a meta',
    () => [frame(CREDIT, { meta: field(0x8a), payload: Buffer.alloc(8) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M105.d',
    ['6.1', '6.2'],
    'CANCEL with a meta',
    ({ session }) => [send(session, 1), frame(CANCEL, { session, id: 1, meta: field(0x8a) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M105.e',
    ['6.1', '6.2'],
    'PING with a payload',
    () => [frame(PING, { id: 1, payload: 'x' })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M57',
    ['6.1', '6.2'],
    'FRAG with a meta',
    ({ session }) => [
      send(session, 1, { flags: MORE, payload: Buffer.alloc(4096) }),
      frag(session, 1, { meta: field(0x8a), payload: 'x' }),
    ],
    'PROTOCOL',
  ),
  {
    id: 'messages/octet-by-octet',
    clauses: ['4.4', '11.2'],
    sentence: 'frames that come octet by octet are read like any others',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.nextSession();
      const octets = [open(session, 't.echo'), send(session, 1, { payload: 'slow' }), ping(7)];
      for (const octet of Buffer.concat(octets)) {
        await conversation.peer.writeSlowly(Buffer.from([octet]));
      }
      await conversation.accepts(session, 1, 'slow');
    },
  },
];

function hex(octet: number): string {
  return `0x${octet.toString(16).padStart(2, '0')}`;
}
