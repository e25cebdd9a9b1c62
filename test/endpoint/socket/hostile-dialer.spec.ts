import { describe, expect, it } from '@jest/globals';
import { type Connection, type InterconnectError, type Listener } from 'nestjs-interconnect/core';
import { connect as connectTcp } from 'node:net';
import {
  Code,
  creditPayload,
  encodePreface,
  Flag,
  FrameType,
  type Meta,
} from '../../../src/wire/index.js';
import { certificates } from '../../support/peers/certificates.js';
import { dial, echo, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { frame, GREETING, header, RawPeer } from '../../support/peers/raw-peer.js';

const hello = frame({ type: FrameType.HELLO, meta: GREETING });

/** That the listener is as good as before. */
async function expectAlive(listener: Listener): Promise<void> {
  const connection = await dial(listener);
  for (const each of listener.connections) echo(each);
  const outcome = await connection.openSession('x').send(Buffer.from('alive'));
  expect(outcome.data.toString()).toBe('alive');
}

describe('a stranger at the door of a listener', () => {
  it.each([
    ['garbage', Buffer.from('\0\x01\x02garbage\xff', 'latin1')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['TLS', Buffer.from('16030100c8010000c40303', 'hex')],
    ['a preface that is wrong in its last octet', Buffer.from('F\x01INTC\r\r', 'latin1')],
    ['the preface of a version that is none', encodePreface(0)],
  ])('is dropped, and hears no frame: %s', async (_what, bytes) => {
    const listener = await listening();
    const peer = await RawPeer.dial(tcpAddressOf(listener));

    peer.write(bytes);
    await peer.closed;

    expect(peer.frames.filter(({ type }) => type !== FrameType.CLOSE)).toEqual([]);
    expect(listener.connections.size).toBe(0);
    await expectAlive(listener);
  });

  it.each([
    ['says nothing', Buffer.alloc(0), 0],
    ['says half a preface', encodePreface().subarray(0, 4), 0],
    ['says a preface, and no more', encodePreface(), 8],
    ['says a header, and no more', Buffer.concat([encodePreface(), hello.subarray(0, 16)]), 8],
    ['says all but an octet', Buffer.concat([encodePreface(), hello.subarray(0, -1)]), 8],
  ])('is dropped in time where it %s', async (_what, bytes, answered) => {
    const clock = new ManualClock();
    const listener = await listening({ clock, handshakeTimeout: 4000 });
    const accepted = new Promise((resolve) => listener.server?.once('connection', resolve));
    const peer = await RawPeer.dial(tcpAddressOf(listener));
    await accepted;
    peer.write(bytes);
    await until(() => peer.received === answered);

    clock.advance(4000);
    await peer.closed;

    expect(peer.frames.map(({ meta }) => meta.code)).toEqual(
      answered === 0 ? [] : [Code.HANDSHAKE_TIMEOUT],
    );
    await until(() => clock.pending === 0);
  });

  it.each([
    ['a HELLO that is too large', header(FrameType.HELLO, 16 * 1024 + 1), Code.FRAME_SIZE],
    ['another frame', frame({ type: FrameType.PING, id: 1 }), Code.STATE],
    ['a message', frame({ type: FrameType.SEND, session: 1, id: 1 }), Code.STATE],
    ['a WELCOME', frame({ type: FrameType.WELCOME, meta: GREETING }), Code.STATE],
    ['a HELLO without limits', frame({ type: FrameType.HELLO }), Code.META],
    ['a type that nobody knows', frame({ type: 0x3f }), Code.UNSUPPORTED],
  ])('is told what is wrong where it says %s', async (_what, bytes, code) => {
    const listener = await listening();
    const peer = await RawPeer.dial(tcpAddressOf(listener));

    peer.write(encodePreface(), bytes);

    expect((await peer.frame(FrameType.CLOSE)).meta.code).toBe(code);
    await peer.closed;
    expect(listener.connections.size).toBe(0);
    await expectAlive(listener);
  });

  it('is dropped by a listener that wants TLS', async () => {
    const { server } = await certificates();
    const listener = await listening({ tls: server });
    const socket = connectTcp(tcpAddressOf(listener).port, '127.0.0.1');
    socket.on('error', () => undefined);
    const gone = new Promise((resolve) => socket.once('close', resolve));

    socket.write(Buffer.concat([encodePreface(), hello]));
    socket.resume();
    await gone;

    expect(listener.connections.size).toBe(0);
  });

  it('may come 500 times at once, and go', async () => {
    const listener = await listening();
    const peers = await Promise.all(
      Array.from({ length: 500 }, () => RawPeer.dial(tcpAddressOf(listener))),
    );

    for (const [index, peer] of peers.entries()) {
      peer.write(encodePreface(), hello.subarray(0, index % hello.length));
      peer.socket.destroy();
    }

    await until(() => listener.connections.size === 0);
    await expectAlive(listener);
  });
});

interface Opened {
  readonly listener: Listener;
  readonly connection: Connection;
  readonly peer: RawPeer;
  readonly closed: Promise<[InterconnectError | undefined]>;
}

/** A dialer by hand that has been let in; every session is accepted, no message is answered. */
async function opened(meta: Meta = {}): Promise<Opened> {
  const listener = await listening({ maxSessions: 4, maxUnsettled: 4, sessionWindow: 65_536 });
  const accepted = next(listener, 'connection');
  const peer = await RawPeer.open(tcpAddressOf(listener), meta);
  const [connection] = await accepted;
  connection.on('session', (session) => {
    session.on('message', () => undefined);
    session.accept();
  });
  return { listener, connection, peer, closed: next(connection, 'close') };
}

const open = frame({ type: FrameType.OPEN, session: 1, meta: { name: 'x' } });

function send(id: number, more: Partial<Parameters<typeof frame>[0]> = {}): Buffer {
  return frame({ type: FrameType.SEND, session: 1, id, ...more });
}

function many(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

describe('a dialer that breaks the rules', () => {
  it.each([
    ['a frame that is too large', header(FrameType.SEND, 65_537, 1, 1), Code.FRAME_SIZE],
    ['a frame of the largest length', header(FrameType.SEND, 0xffffff, 1, 1), Code.FRAME_SIZE],
    ['a frame of an impossible length', header(FrameType.SEND, 0xffffffff, 1, 1), Code.FRAME_SIZE],
    ['a second HELLO', hello, Code.STATE],
    ['a WELCOME', frame({ type: FrameType.WELCOME, meta: GREETING }), Code.STATE],
    ['a type that nobody knows', frame({ type: 0x7f }), Code.UNSUPPORTED],
    ['a flag that nobody knows', frame({ type: FrameType.PING, flags: 0x80 }), Code.UNSUPPORTED],
    [
      'a session of the listener',
      frame({ type: FrameType.OPEN, session: 2, meta: { name: 'x' } }),
      Code.PROTOCOL,
    ],
    ['a session twice', Buffer.concat([open, open]), Code.PROTOCOL],
    ['a message in no session', send(1), Code.PROTOCOL],
    ['a message out of turn', Buffer.concat([open, send(2)]), Code.PROTOCOL],
    ['a message twice', Buffer.concat([open, send(1), send(1)]), Code.PROTOCOL],
    [
      'a fragment of nothing',
      Buffer.concat([
        open,
        frame({ type: FrameType.FRAG, session: 1, id: 1, payload: Buffer.alloc(1) }),
      ]),
      Code.PROTOCOL,
    ],
    [
      'an outcome of nothing',
      Buffer.concat([
        open,
        frame({ type: FrameType.ACCEPT, flags: Flag.REPLY, session: 1, id: 1 }),
      ]),
      Code.PROTOCOL,
    ],
    [
      'a cancel of nothing',
      Buffer.concat([open, frame({ type: FrameType.CANCEL, session: 1, id: 7 })]),
      Code.PROTOCOL,
    ],
    ['an end of nothing', frame({ type: FrameType.END, session: 5 }), Code.PROTOCOL],
    [
      'fragments too small',
      Buffer.concat([open, send(1, { flags: Flag.MORE, payload: Buffer.alloc(10) })]),
      Code.PROTOCOL,
    ],
    ['a name that is no text', frame({ type: FrameType.OPEN, session: 1, meta: {} }), Code.META],
    [
      'more messages than it may',
      Buffer.concat([open, many(5, (index) => send(index + 1))]),
      Code.FLOW,
    ],
    [
      'more bytes than it may',
      Buffer.concat([open, many(3, (index) => send(index + 1, { payload: Buffer.alloc(30_000) }))]),
      Code.FLOW,
    ],
    [
      'more sessions than it may',
      many(5, (index) =>
        frame({ type: FrameType.OPEN, session: 1 + 2 * index, meta: { name: 'x' } }),
      ),
      Code.FLOW,
    ],
    [
      'too much credit',
      frame({ type: FrameType.CREDIT, payload: creditPayload(9, 0x7fffffff) }),
      Code.FLOW,
    ],
    [
      'receipts of what was never sent',
      frame({ type: FrameType.CREDIT, id: 77, payload: creditPayload(9, 0) }),
      Code.PROTOCOL,
    ],
    [
      'PINGs without end',
      many(3000, (id) => frame({ type: FrameType.PING, id: id + 1 })),
      Code.CALM,
    ],
    [
      'PONGs without end',
      many(3000, (id) => frame({ type: FrameType.PONG, id: id + 1 })),
      Code.CALM,
    ],
    ['what may be ignored without end', many(3000, () => frame({ type: 0x90 })), Code.CALM],
    [
      'cancels without end',
      Buffer.concat([
        open,
        send(1),
        many(3000, () => frame({ type: FrameType.CANCEL, session: 1, id: 1 })),
      ]),
      Code.CALM,
    ],
    [
      'credit without end',
      many(3000, () => frame({ type: FrameType.CREDIT, payload: creditPayload(0, 0) })),
      Code.CALM,
    ],
  ])('is told so, and closed: %s', async (_what, bytes, code) => {
    const { listener, peer, closed } = await opened();

    peer.write(bytes);

    const [error] = await closed;
    expect(error).toMatchObject({ code: 'IC_ERR_PROTOCOL', executed: 'maybe', status: code });
    const close = await peer.frame(FrameType.CLOSE);
    expect([close.meta.code, close.meta.text]).toEqual([code, error?.reason]);
    await peer.closed;
    await expectAlive(listener);
  });

  it('fails what the listener had sent to it', async () => {
    const { connection, peer } = await opened();
    const session = connection.openSession('push', { timeout: 0 });
    const outcome = session.send(Buffer.from('x'), { timeout: 0 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    await peer.frame(FrameType.SEND);

    peer.write(frame({ type: FrameType.OPENED, session: 2 }), frame({ type: 0x7f }));

    expect(await outcome).toMatchObject({ code: 'IC_ERR_PROTOCOL', executed: 'maybe' });
  });

  it('may end its stream anywhere: the connection is lost, not closed in order', async () => {
    for (const bytes of [Buffer.alloc(0), open, open.subarray(0, 7), send(1).subarray(0, 15)]) {
      const { peer, closed } = await opened();

      peer.socket.end(bytes);

      expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
      await peer.closed;
    }
  });
});

describe('a dialer that follows the rules in its own way', () => {
  it('may say everything octet by octet', async () => {
    const listener = await listening();
    listener.on('connection', echo);
    const peer = await RawPeer.dial(tcpAddressOf(listener));
    const payload = Buffer.from('slowly');
    const bytes = Buffer.concat([encodePreface(), hello, open, send(1, { payload })]);

    for (const octet of bytes) {
      const sent = new Promise((resolve) => peer.socket.write(Uint8Array.of(octet), resolve));
      await sent;
    }

    expect((await peer.frame(FrameType.ACCEPT)).payload).toEqual(payload);
  });

  it('may say everything in one piece, before it has heard anything', async () => {
    const listener = await listening();
    listener.on('connection', echo);
    const peer = await RawPeer.dial(tcpAddressOf(listener));
    const payload = Buffer.from('at once');
    const close = frame({ type: FrameType.CLOSE, meta: { code: 0 } });

    peer.write(encodePreface(), hello, open, send(1, { payload }));
    const { payload: answer } = await peer.frame(FrameType.ACCEPT);
    peer.write(close);

    expect(answer).toEqual(payload);
    await peer.closed;
  });

  it('may speak a later version, and is answered with ours', async () => {
    const listener = await listening();
    const peer = await RawPeer.dial(tcpAddressOf(listener));

    peer.write(encodePreface(2));
    await until(() => peer.received >= 8);

    expect(peer.version).toBe(1);
  });

  it('may send frames that may be ignored, now and then [IC-16.4]', async () => {
    const { peer, connection } = await opened();

    peer.write(
      many(100, () => frame({ type: 0xff, session: 0x80000000, id: 3, payload: Buffer.alloc(99) })),
    );

    expect(await pong(connection, peer)).toBe(true);
  });
});

async function pong(connection: Connection, peer: RawPeer): Promise<boolean> {
  const ping = connection.ping();
  const { id } = await peer.frame(FrameType.PING);
  peer.write(frame({ type: FrameType.PONG, id }));
  return (await ping) >= 0;
}
