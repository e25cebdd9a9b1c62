import { describe, expect, it } from '@jest/globals';
import { connect, type Connection, type InterconnectError } from 'nestjs-interconnect/core';
import { creditPayload, encodePreface, Code, Flag, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { failure, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import {
  frame,
  GREETING,
  header,
  RawListener,
  type RawPeer,
} from '../../support/peers/raw-peer.js';

const welcome = frame({ type: FrameType.WELCOME, meta: GREETING });

interface Answered {
  readonly peer: RawPeer;
  readonly error: Promise<InterconnectError>;
  readonly clock: ManualClock;
}

/** A dialer that waits to be let in by hand. */
async function dialing(): Promise<Answered> {
  const clock = new ManualClock();
  const raw = await RawListener.listen();
  const error = failure(connect({ ...raw.address, clock }));
  const peer = await raw.accepted();
  await peer.frame(FrameType.HELLO);
  return { peer, error, clock };
}

describe('a dialer', () => {
  it.each([
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'an HTTP server'],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n'), 'an SSH peer'],
    ['garbage', Buffer.from('garbage'), 'octet 0 of the preface is 0x67'],
    ['a later version', encodePreface(2), 'version 2'],
    [
      'a message',
      Buffer.concat([encodePreface(), frame({ type: FrameType.SEND, session: 2, id: 1 })]),
      'SEND',
    ],
    [
      'a HELLO',
      Buffer.concat([encodePreface(), frame({ type: FrameType.HELLO, meta: GREETING })]),
      'HELLO',
    ],
    [
      'a WELCOME without limits',
      Buffer.concat([encodePreface(), frame({ type: FrameType.WELCOME })]),
      'lacks',
    ],
    [
      'a WELCOME that is too large',
      Buffer.concat([encodePreface(), header(FrameType.WELCOME, 16_385)]),
      '16385',
    ],
  ])('knows that the other side is no listener of ours: %s', async (_what, bytes, words) => {
    const { peer, error, clock } = await dialing();

    peer.write(bytes);

    const { code, executed, message } = await error;
    expect([code, executed]).toEqual(['IC_ERR_PROTOCOL', 'no']);
    expect(message).toContain(words);
    await peer.closed;
    await until(() => clock.pending === 0);
  });

  it.each([
    ['at once', Buffer.alloc(0)],
    ['after half a preface', encodePreface().subarray(0, 3)],
    ['after half a WELCOME', Buffer.concat([encodePreface(), welcome.subarray(0, 30)])],
  ])(
    'is told that there is no connection where the other side hangs up %s',
    async (_when, bytes) => {
      for (const how of ['end', 'reset'] as const) {
        const { peer, error, clock } = await dialing();
        peer.write(bytes);

        if (how === 'end') peer.socket.end();
        else peer.socket.resetAndDestroy();

        expect(await error).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
        await peer.closed;
        await until(() => clock.pending === 0);
      }
    },
  );

  it('is refused by whatever code the other side gives', async () => {
    const { peer, error } = await dialing();

    peer.write(encodePreface(), frame({ type: FrameType.CLOSE, meta: { code: 0xffff } }));

    expect(await error).toMatchObject({ code: 'IC_ERR_CONNECTION_REJECTED', status: 0xffff });
    await peer.closed;
  });

  it('is let in however the answer is cut, and hears what follows it', async () => {
    const raw = await RawListener.listen();
    const bytes = Buffer.concat([
      encodePreface(),
      welcome,
      frame({ type: FrameType.OPEN, session: 2, meta: { name: 'first' } }),
      frame({ type: FrameType.SEND, session: 2, id: 1, payload: Buffer.from('now') }),
    ]);

    for (let cut = 1; cut < bytes.length; cut += 3) {
      const connecting = connect(raw.address);
      const peer = await raw.accepted();
      await peer.frame(FrameType.HELLO);
      await new Promise((resolve) => peer.socket.write(bytes.subarray(0, cut), resolve));
      peer.write(bytes.subarray(cut));
      const connection = await connecting;
      connection.on('session', (session) => {
        session.on('message', (message) => message.respond(message.data));
        session.accept();
      });

      expect((await peer.frame(FrameType.ACCEPT)).payload).toEqual(Buffer.from('now'));
      await connection.close();
    }
  });
});

interface Welcomed {
  readonly connection: Connection;
  readonly peer: RawPeer;
  /** What becomes of a message that has arrived over there, and is not answered. */
  readonly outcome: Promise<InterconnectError>;
}

async function welcomed(): Promise<Welcomed> {
  const raw = await RawListener.listen();
  const connecting = connect(raw.address);
  const peer = await raw.accepted();
  await peer.welcome();
  const connection = await connecting;
  afterTest(() => connection.close());
  const outcome = failure(connection.openSession('x').send(Buffer.from('x')));
  await peer.frame(FrameType.SEND);
  peer.write(frame({ type: FrameType.OPENED, session: 1 }));
  return { connection, peer, outcome };
}

const accept = { type: FrameType.ACCEPT, flags: Flag.REPLY, session: 1, id: 1 };

describe('a listener that breaks the rules', () => {
  it.each([
    ['an outcome of another message', frame({ ...accept, id: 2 }), Code.PROTOCOL],
    ['an outcome in a session that never was', frame({ ...accept, session: 3 }), Code.PROTOCOL],
    ['half an outcome that ends before its length', outcomeOf(100_000, 5000, 5000), Code.PROTOCOL],
    ['half an outcome that goes beyond its length', outcomeOf(6000, 5000, 5000), Code.PROTOCOL],
    [
      'an outcome while another is under way',
      Buffer.concat([outcomeOf(100_000, 5000), frame(accept)]),
      Code.PROTOCOL,
    ],
    ['a rejection without a code', frame({ ...accept, type: FrameType.REJECT }), Code.PROTOCOL],
    ['an acceptance twice', frame({ type: FrameType.OPENED, session: 1 }), Code.PROTOCOL],
    [
      'a session of the dialer',
      frame({ type: FrameType.OPEN, session: 3, meta: { name: 'x' } }),
      Code.PROTOCOL,
    ],
    [
      'more credit than there may be',
      frame({ type: FrameType.CREDIT, session: 1, payload: creditPayload(1, 0x7fffffff) }),
      Code.FLOW,
    ],
  ])('is told so, and the message fails as maybe executed: %s', async (_what, bytes, code) => {
    const { connection, peer, outcome } = await welcomed();
    const closed = next(connection, 'close');

    peer.write(bytes);

    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_PROTOCOL', status: code });
    expect(await outcome).toMatchObject({ code: 'IC_ERR_PROTOCOL', executed: 'maybe' });
    expect((await peer.frame(FrameType.CLOSE)).meta.code).toBe(code);
    await peer.closed;
  });

  it('does not make the dialer hold an outcome that is larger than it takes', async () => {
    const { connection, peer, outcome } = await welcomed();

    peer.write(outcomeOf(2 ** 40, 5000));

    expect(await outcome).toMatchObject({ code: 'IC_ERR_TOO_LARGE', executed: 'yes' });
    expect(connection.status).toBe('open');
  });

  it('settles a second time in vain', async () => {
    const raw = await RawListener.listen();
    const connecting = connect(raw.address);
    const peer = await raw.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const outcome = connection.openSession('x').send(Buffer.from('x'));
    await peer.frame(FrameType.SEND);
    const answer = frame({ ...accept, payload: Buffer.from('1') });
    const again = frame({ ...accept, payload: Buffer.from('2') });

    peer.write(frame({ type: FrameType.OPENED, session: 1 }), answer, again, again);

    expect(await outcome).toMatchObject({ data: Buffer.from('1') });
    const ping = connection.ping();
    peer.write(frame({ type: FrameType.PONG, id: (await peer.frame(FrameType.PING)).id }));
    await ping;
    expect(connection.status).toBe('open');
  });
});

/** An ACCEPT that announces `total` octets, and its pieces; the last one says that it is the last. */
function outcomeOf(total: number, ...pieces: number[]): Buffer {
  return Buffer.concat(
    pieces.map((size, index) =>
      frame({
        type: index === 0 ? FrameType.ACCEPT : FrameType.FRAG,
        flags: Flag.REPLY | (index === 0 || index < pieces.length - 1 ? Flag.MORE : 0),
        session: 1,
        id: 1,
        meta: index === 0 ? { total } : {},
        payload: Buffer.alloc(size),
      }),
    ),
  );
}
