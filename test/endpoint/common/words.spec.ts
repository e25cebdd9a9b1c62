/** The other side's words, wherever they become part of an error's message. */
import { generate } from 'selfsigned';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  Code,
  connect,
  type Connection,
  InterconnectError,
  type Message,
} from 'nestjs-interconnect/core';
import { FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import {
  addressOf,
  connected,
  dial,
  listening,
  tcpAddressOf,
} from '../../support/peers/connected.js';
import { failure, next, thrown } from '../../support/events.js';
import { RawPeer } from '../../support/peers/raw-peer.js';
import { HOSTILE, INVISIBLE } from '../../support/words.js';
import { messageOf, stackOf } from '../../../src/endpoint/common/words.js';

/** One line, and the words as they came beside it. */
function expectTame(error: InterconnectError, reason?: string): void {
  expect(error.message).toContain('x\\n[Nest] 1');
  expect(error.message).not.toMatch(INVISIBLE);
  expect(error.stack?.split('\n')[0]).toContain(error.message);
  expect(error.reason).toBe(reason);
}

/** A listener whose sessions do what the test wants with each message. */
async function serving(onMessage: (message: Message, connection: Connection) => void) {
  const pair = await connected();
  pair.acceptor.on('session', (session) => {
    session.on('message', (message) => onMessage(message, pair.acceptor));
    session.accept();
  });
  return pair;
}

describe("the other side's words in an error's message are visible, and on one line [IC-5.12]", () => {
  it('of a connection that it closes', async () => {
    const { dialer } = await serving((_, connection) => {
      void connection.close({ code: 0x8001, reason: HOSTILE });
    });
    const closed = next(dialer, 'close');
    const session = await dialer.createSession('a');

    expectTame(await failure(session.send(Buffer.from('1'))), HOSTILE);
    const [error] = await closed;
    expectTame(error as InterconnectError, HOSTILE);
  });

  it('of a handshake that it refuses', async () => {
    const listener = await listening({ authenticate: (each) => each.reject(0x8001, HOSTILE) });

    expectTame(await failure(connect(addressOf(listener))), HOSTILE);
  });

  it('of a session that it rejects, and of one that it aborts', async () => {
    const { dialer, acceptor } = await connected();
    acceptor.on('session', (session) => session.reject(0x8001, HOSTILE));

    expectTame(await failure(dialer.createSession(HOSTILE)), HOSTILE);

    const listener = await listening();
    const accepted = next(listener, 'connection');
    const peer = await RawPeer.open(tcpAddressOf(listener));
    const [connection] = await accepted;
    const session = connection.openSession('a');
    const closed = next(session, 'close');
    await peer.frame(FrameType.OPEN);
    peer.send(
      { type: FrameType.OPENED, session: 2, meta: OPENED },
      { type: FrameType.END, session: 2, meta: { code: 0x8001, text: HOSTILE } },
    );
    const [error] = await closed;
    expectTame(error as InterconnectError, HOSTILE);
  });

  it('of a message to which it gives no outcome, or rejects its stream', async () => {
    const { dialer } = await serving((message) => {
      if (message.data.toString() === 'late') message.reject(Code.DEADLINE, HOSTILE);
      else message.reject(0x8001, HOSTILE);
    });
    const session = await dialer.createSession('a');

    expectTame(await failure(session.send(Buffer.from('late'))), HOSTILE);
    const items = session.stream(Buffer.from('1'))[Symbol.asyncIterator]();
    expectTame(await failure(items.next()), HOSTILE);
  });

  it('of the name of a session, however long', async () => {
    const names: string[] = [];
    const name = HOSTILE + 'ä'.repeat(450);
    const { dialer } = await serving((message) => {
      message.accept();
      names.push(thrown(() => message.accept()).message);
    });
    const session = await dialer.createSession(name);
    await session.send(Buffer.from('1'));

    expect(names).toHaveLength(1);
    expect(names[0]).toContain('of session "x\\n[Nest]');
    expect(names[0]).not.toMatch(INVISIBLE);
  });

  it('of the name of a session for whose messages nobody listens', async () => {
    const { dialer, acceptor } = await connected();
    acceptor.on('session', (session) => session.accept());
    const session = await dialer.createSession(HOSTILE + '日'.repeat(300));

    const outcome = await session.send(Buffer.from('1'));

    expect(outcome).toMatchObject({ accepted: false, code: Code.NO_HANDLER });
    expect('reason' in outcome && outcome.reason).toMatch(/session "x\\n\[Nest\].*…"\.$/);
  });

  it('of an option that is passed on', async () => {
    const { dialer } = await serving(() => undefined);
    const session = await dialer.createSession('a');
    const message = Buffer.from('1');

    const name = await failure(session.send(message, { metadata: { [`${HOSTILE}\0`]: '' } }));
    const value = await failure(dial(await listening(), { reconnect: HOSTILE as never }));

    for (const { message: text } of [name, value]) expect(text).not.toMatch(INVISIBLE);
    expect(name.message).toContain('x\\n[Nest] 1');
  });

  it('of its certificate', async () => {
    const pair = await generate([{ name: 'commonName', value: 'x\u001b[2J' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: [{ name: 'basicConstraints', cA: true, critical: true }],
    });
    const listener = await listening({ tls: { key: pair.private, cert: pair.cert } });

    const error = await failure(
      connect({ ...addressOf(listener), tls: { ca: pair.cert, servername: 'localhost' } }),
    );

    expect(error.message).toContain('x\\u001b[2J');
    const { cause } = error;
    expect(cause).toHaveProperty('code', 'ERR_TLS_CERT_ALTNAME_INVALID');
    expect((cause as Error).message).not.toMatch(INVISIBLE);
    expect((cause as Error).stack?.split('\n')[1]).toMatch(/^ {4}at /);
  });

  it('of what a listener throws, in the warning of the process', async () => {
    const { dialer } = await serving(() => {
      throw new Error(HOSTILE);
    });
    const kept = Object.getOwnPropertyDescriptor(process, 'emitWarning') ?? {};
    afterTest(() => Object.defineProperty(process, 'emitWarning', kept));
    const warned = new Promise<[string, { detail?: string }]>((resolve) => {
      process.emitWarning = (...args: unknown[]) => resolve(args as never);
    });
    const session = await dialer.createSession('a');
    await session.send(Buffer.from('1'));

    const [message, { detail = '' }] = await warned;

    expect(message).toContain('x\\n[Nest] 1');
    expect(message).not.toMatch(INVISIBLE);
    const [first, ...frames] = detail.split('\n');
    expect(first).not.toMatch(INVISIBLE);
    expect(frames.length).toBeGreaterThan(0);
    for (const frame of frames) expect(frame).toMatch(/^ {4}at /);
  });
});

describe('the text of an error for a log', () => {
  it('has the causes of an error, each on lines of its own', () => {
    const circle = new Error('inner\nline');
    circle.cause = new Error('outer', { cause: circle });

    const lines =
      stackOf(circle)
        ?.split('\n')
        .filter((line) => !line.startsWith('    at ')) ?? [];

    expect(lines.slice(0, 2)).toEqual(['Error: inner\\nline', '[cause]: Error: outer']);
    expect(lines).toHaveLength(5);
  });

  it('shows one line where the stack is not that of the message, or forges its frames', () => {
    const changed = new Error('first');
    expect(changed.stack).toContain('first');
    changed.message = HOSTILE;
    const forged = new Error('a\n    at secret (file.js:1:1)\nb');
    const bare = Object.assign(new Error('a\nb'), { stack: 'no\nframes\u001b' });

    expect(stackOf(changed)?.split('\n')[0]).toBe('Error: first');
    expect(stackOf(forged)?.split('\n')[0]).toBe('Error: a\\n    at secret (file.js:1:1)\\nb');
    expect(stackOf(bare)).toBe('no\\nframes\\u001b');
  });

  it('is had of anything, and never throws', () => {
    const trap = Object.defineProperty({}, 'message', {
      get: () => {
        throw new Error('no');
      },
    });

    expect([trap, undefined, 5, 'a\nb'].map(messageOf)).toEqual([
      '[object Object]',
      'undefined',
      '5',
      '"a\\nb"',
    ]);
    expect([trap, undefined, 5].map(stackOf)).toEqual([undefined, undefined, undefined]);
  });

  it('is cut where it is very long', () => {
    const error = new InterconnectError('IC_ERR_CLOSED', 'x'.repeat(100_000));

    expect(error.message).toHaveLength(4097);
    expect(inspect(error).length).toBeLessThan(20_000);
  });
});

const OPENED = { sessionCredit: { messages: 10, bytes: 65_536, items: 10 } };
