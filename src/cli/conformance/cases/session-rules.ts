/** Frames that a session must refuse, and some that it ignores. */
import { Flag, FrameType, Tag } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { accept, cancel, credit, end, field, frame, open, opened, send, u32 } from '../octets.js';
import { harmless, violation } from './rows.js';

const { END } = FrameType;
/** An application's own code. */
const ABORT = 0x9001;

export const sessionRuleCases: readonly ConformanceCase[] = [
  violation(
    'malformed/M43',
    ['4.5', '6.1'],
    'OPEN with a number of the wrong parity',
    ({ conversation }) => [open(conversation.foreignSession, 't.echo')],
    'PROTOCOL',
  ),
  violation(
    'malformed/M44.a',
    ['4.5'],
    'OPEN with the number of the last session',
    ({ session }) => [open(session, 't.echo')],
    'PROTOCOL',
  ),
  violation(
    'malformed/M44.b',
    ['4.5'],
    'OPEN with a number below the last',
    ({ session }) => [open(session + 20, 't.echo'), open(session + 10, 't.echo')],
    'PROTOCOL',
  ),
  violation(
    'malformed/M45',
    ['6.20', '8.1'],
    'one OPEN more than the opens limit',
    ({ conversation, peer }) =>
      // One session is open already.
      Array.from({ length: peer.limits.opens }, () => open(conversation.nextSession(), 't.mute')),
    'FLOW',
  ),
  violation(
    'malformed/M47.a',
    ['7.1'],
    'OPENED for a session that was never opened',
    ({ conversation }) => [opened(conversation.foreignSession + 100)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M47.b',
    ['7.1'],
    'END for a session that was never opened',
    ({ session }) => [end(session + 2)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M48.a',
    ['7.1'],
    'a second OPENED',
    async ({ conversation }) => {
      const { back } = await conversation.reverse();
      return [opened(back), opened(back)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M48.b',
    ['7.1'],
    'OPENED from the opener',
    ({ session }) => [opened(session)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M49.a',
    ['7.1'],
    'SEND for a session that was never opened',
    ({ session }) => [send(session + 2, 1)],
    'PROTOCOL',
  ),
  harmless(
    'malformed/M50',
    ['6.27', '7.1'],
    'SEND for a session that is closed',
    async ({ peer, session }) => {
      peer.write(end(session, ABORT));
      await peer.frame(END, session);
      return [send(session, 1), send(session, 2), cancel(session, 1)];
    },
  ),
  violation(
    'malformed/M51',
    ['6.24'],
    'SEND after END, in a session with an unsettled message',
    async ({ conversation }) => {
      const session = await conversation.open('t.slow');
      return [send(session, 1), end(session), send(session, 2)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M101',
    ['6.28'],
    'a second END of one side, in a session with an unsettled message',
    async ({ conversation }) => {
      const session = await conversation.open('t.slow');
      return [send(session, 1), end(session), end(session)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M100',
    ['6.31'],
    'SEND of the acceptor before OPENED',
    async ({ conversation }) => [send((await conversation.reverse()).back, 1)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M110',
    ['6.39'],
    'ACCEPT of the acceptor before OPENED',
    async ({ conversation, peer }) => {
      const { own, back } = await conversation.reverse();
      peer.write(send(own, 1));
      // If the implementation sends before OPENED, its message has come by the end of this wait.
      await peer.lull();
      return [accept(back, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M99.g',
    ['6.19'],
    'OPEN with a credit of fewer octets than one frame',
    ({ conversation }) => {
      const meta = Buffer.concat([
        field(Tag.NAME, 't.echo'),
        field(Tag.SESSION_CREDIT, u32(1, 4096, 1)),
      ]);
      return [frame(FrameType.OPEN, { session: conversation.nextSession(), meta })];
    },
    'META',
  ),
  violation(
    'malformed/M99.h',
    ['6.19'],
    'OPEN with a credit of more than 2^30 messages',
    ({ conversation }) => {
      const meta = Buffer.concat([
        field(Tag.NAME, 't.echo'),
        field(Tag.SESSION_CREDIT, u32(2 ** 30 + 1, 2 ** 20, 1)),
      ]);
      return [frame(FrameType.OPEN, { session: conversation.nextSession(), meta })];
    },
    'META',
  ),
  violation(
    'malformed/M99.i',
    ['6.6', '6.19'],
    'OPEN with a credit of more than 2^30 items',
    ({ conversation }) => {
      const meta = Buffer.concat([
        field(Tag.NAME, 't.echo'),
        field(Tag.SESSION_CREDIT, u32(1, 2 ** 20, 2 ** 30 + 1)),
      ]);
      return [frame(FrameType.OPEN, { session: conversation.nextSession(), meta })];
    },
    'META',
  ),
  ...[
    ['j', 'messages', [2 ** 30 + 1, 2 ** 20, 1]] as const,
    ['k', 'octets', [1, 2 ** 30 + 1, 1]] as const,
    ['l', 'items', [1, 2 ** 20, 2 ** 30 + 1]] as const,
  ].map(([letter, unit, values]) =>
    violation(
      `malformed/M99.${letter}`,
      ['6.6', '6.21'],
      `OPENED with a credit of more than 2^30 ${unit}`,
      async ({ conversation }) => {
        const { back } = await conversation.reverse();
        const meta = field(Tag.SESSION_CREDIT, u32(...values));
        return [frame(FrameType.OPENED, { session: back, meta })];
      },
      'META',
    ),
  ),
  violation(
    'malformed/M127.a',
    ['6.23'],
    'END within a SEND in fragments',
    ({ session }) => [
      send(session, 1, { flags: Flag.MORE, payload: Buffer.alloc(4096) }),
      end(session),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M127.b',
    ['6.23'],
    'END within a request stream',
    async ({ conversation }) => {
      const session = await conversation.open('t.slow');
      return [send(session, 1, { flags: Flag.STREAM }), end(session)];
    },
    'PROTOCOL',
  ),
  harmless(
    'malformed/M127.c',
    ['6.23', '6.47'],
    'END after the CANCEL of a request stream that has not ended',
    async ({ conversation, peer }) => {
      const session = await conversation.open('t.slow');
      peer.write(send(session, 1, { flags: Flag.STREAM }), cancel(session, 1), end(session));
      await conversation.rejects(session, 1);
      await peer.frame(END, session);
      return [];
    },
  ),
  harmless(
    'malformed/M81.b',
    ['7.1'],
    'CREDIT for a session that is closed',
    async ({ peer, session }) => {
      peer.write(end(session));
      await peer.frame(END, session);
      return [credit(session, 2000, 2 ** 27)];
    },
  ),
];
