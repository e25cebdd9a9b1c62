import { describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import {
  connect,
  createConnection,
  type Connection,
  type ConnectOptions,
  type ListenerOptions,
} from 'nestjs-interconnect/core';
import { Code } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { certificates } from '../../support/peers/certificates.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, thrown, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener } from '../../support/peers/raw-peer.js';

const bytes = Buffer.from('bytes');

/** Not closed yet after the test. */
function create(options: ConnectOptions): Connection {
  const connection = createConnection(options);
  afterTest(() => connection.close());
  return connection;
}

/** A listener that answers each message with its own bytes. */
async function echoing(options: ListenerOptions = {}): Promise<{ host: string; port: number }> {
  const listener = await listening(options);
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on('message', (message) => message.respond(message.data));
      session.accept();
    });
  });
  return tcpAddressOf(listener);
}

/** At which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Lets the pauses pass until the condition holds. */
async function waitOut(clock: ManualClock, condition: () => boolean): Promise<void> {
  while (!condition()) {
    clock.advance(100);
    await turn();
  }
}

describe('createConnection', () => {
  it('returns a connection at once, which takes sessions and messages', async () => {
    const connection = create(await echoing());
    const life: string[] = [connection.status];
    connection.on('status', (status) => life.push(status));
    connection.on('open', () => life.push('open event'));

    const session = connection.openSession('s');
    const sends = ['one', 'two', 'three'].map((text) => session.send(Buffer.from(text)));
    const other = connection.createSession('t');

    const answers = (await Promise.all(sends)).map(({ data }) => data.toString());
    expect(answers).toEqual(['one', 'two', 'three']);
    expect((await other).status).toBe('open');
    expect(life).toEqual(['connecting', 'open', 'open event']);
  });

  it('has neither a socket nor a peer before the other side has accepted it', async () => {
    const mute = await RawListener.listen();
    const { host, port } = mute.address;
    const clock = new ManualClock();
    const connection = create({ host, port, clock });

    clock.advance(250);

    expect(connection.peer).toMatchObject({ address: '', agent: '', authorized: false });
    expect(connection.data).toEqual(Buffer.alloc(0));
    expect(connection.outage).toEqual({ duration: 250, error: undefined });
    const error = thrown(() => connection.socket);
    expect(error).toMatchObject({ code: 'IC_ERR_OFFLINE', executed: 'no' });
    expect(error.message).toBe(
      `No connection to ${host}:${port} for 250 ms: the first attempt has not ended yet.`,
    );
    expect(await failure(connection.ping())).toMatchObject({ code: 'IC_ERR_OFFLINE' });
  });

  it('is no longer without a socket when it is open', async () => {
    const connection = create(await echoing());

    await next(connection, 'open');

    expect(connection.outage).toBeUndefined();
    expect(connection.socket.destroyed).toBe(false);
    expect(await connection.ping()).toBeGreaterThanOrEqual(0);
  });

  it.each(['send', 'stream', 'items'] as const)(
    'lets a message wait by %s no longer than its own timeout',
    async (how) => {
      const mute = await RawListener.listen();
      const clock = new ManualClock();
      const connection = create({ ...mute.address, clock });
      const session = connection.openSession('s', { timeout: 0 });
      const options = { timeout: 500 };
      const waiting = {
        send: () => session.send(bytes, options),
        stream: () => session.stream(bytes, options)[Symbol.asyncIterator]().next(),
        items: () => session.send([bytes, bytes], options),
      }[how]();
      const late = failure(waiting);
      let isLate = false;
      void late.then(() => (isLate = true));

      clock.advance(499);
      await turn();
      expect(isLate).toBe(false);
      clock.advance(1);

      const error = await late;
      expect(error).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'no' });
      expect(error.message).toContain('within its 500 ms. No connection to 127.0.0.1:');
      expect(error.message).toContain('for 500 ms: the first attempt has not ended yet.');
    },
  );

  it('tells who waits in vain what the last attempt failed with', async () => {
    const clock = new ManualClock();
    const connection = create({ host: '127.0.0.1', port: await freePort(), clock });
    const session = connection.openSession('s', { timeout: 0 });
    const late = failure(session.send(bytes, { timeout: 7300 }));
    const [told] = await next(connection, 'connectError');

    await waitOut(clock, () => clock.now() >= 1_007_300);

    const error = await late;
    expect(error.message).toMatch(/for 7\.3 s: connect ECONNREFUSED 127\.0\.0\.1:\d+\.$/u);
    expect(error.cause).toMatchObject({ code: 'IC_ERR_CONNECT', message: told.message });
  });

  it('goes on after rounds that failed, each of which it tells', async () => {
    const clock = new ManualClock();
    const port = await freePort();
    const connection = create({ host: '127.0.0.1', port, clock });
    const answer = connection.openSession('s', { timeout: 0 }).send(bytes);
    const errors: string[] = [];
    connection.on('connectError', (error) => errors.push(`${error.code} ${error.message}`));

    await waitOut(clock, () => errors.length === 3);
    expect(connection.status).toBe('connecting');
    await echoing({ port });
    await waitOut(clock, () => connection.status === 'open');

    expect((await answer).data).toEqual(bytes);
    expect(errors[0]).toContain(`IC_ERR_CONNECT No connection to 127.0.0.1:${port}: connect ECONN`);
    expect(new Set(errors).size).toBe(1);
  });

  it('is given up after as many rounds as it was told', async () => {
    const clock = new ManualClock();
    const reconnect = { attempts: 3 };
    const connection = create({ host: '127.0.0.1', port: await freePort(), clock, reconnect });
    let rounds = 0;
    connection.on('connectError', () => (rounds += 1));
    const unsent = failure(connection.openSession('s').send(bytes));

    await waitOut(clock, () => connection.status === 'closed');

    expect(rounds).toBe(3);
    expect(await unsent).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
    expect(clock.pending).toBe(0);
  });

  it('is given up after one round if it is not to come back', async () => {
    const clock = new ManualClock();
    const port = await freePort();
    const connection = create({ host: '127.0.0.1', port, clock, reconnect: false });

    const [error] = await next(connection, 'close');

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECT' });
    expect(clock.pending).toBe(0);
  });

  it('takes what the other side may take, and says no when it knows better', async () => {
    const large = Buffer.alloc(20 * 1024 * 1024, 7);
    const maxMessageSize = 32 * 1024 * 1024;
    const roomy = create({ ...(await echoing({ maxMessageSize })), maxMessageSize });
    const narrow = create(await echoing({ maxMessageSize: 1024 * 1024 }));
    const data = Buffer.alloc(100_000);

    const answer = roomy.openSession('s').send(large);
    const misfit = failure(narrow.openSession('s').send(large));
    const opening = failure(narrow.createSession('t', { data }));

    expect((await answer).data).toHaveLength(large.length);
    expect(await misfit).toMatchObject({ code: 'IC_ERR_TOO_LARGE', executed: 'no' });
    expect(await opening).toMatchObject({ code: 'IC_ERR_TOO_LARGE', executed: 'no' });
  });
});

describe('what waiting does not mend', () => {
  /** The end of a connection that is made with these options, what its calls got, and what is left. */
  async function endOf(options: ConnectOptions) {
    const clock = new ManualClock();
    const connection = create({ ...options, clock });
    const closed = next(connection, 'close');
    const session = connection.openSession('s', { timeout: 0 });
    const [one, other] = [session.send(bytes), session.send(bytes)].map(failure);
    const connecting = failure(connect({ ...options, clock }));
    const [error] = await closed;
    await connecting;
    await until(() => connection.status === 'closed' && clock.pending === 0);
    return { error, calls: [await one, await other], connecting: await connecting };
  }

  it.each([
    ['UNAUTHENTICATED', Code.UNAUTHENTICATED],
    ['FORBIDDEN', Code.FORBIDDEN],
    ['an own code', 0x8005],
  ])('is a refusal by %s', async (_name, code) => {
    const address = await echoing({
      authenticate: (handshake) => handshake.reject(code, 'not you'),
    });

    const { error, calls, connecting } = await endOf(address);

    for (const each of [error, connecting, ...calls]) {
      expect(each).toMatchObject({
        code: 'IC_ERR_CONNECTION_REJECTED',
        status: code,
        reason: 'not you',
        executed: 'no',
      });
    }
    expect(calls.map((each) => each?.cause)).toEqual([error, error]);
  });

  it('is a certificate that is not trusted', async () => {
    const { server, strangeCa } = await certificates();
    const listener = await listening({ tls: server });

    const { error, calls } = await endOf({ ...tcpAddressOf(listener), tls: { ca: strangeCa } });

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECT' });
    expect(error?.message).toMatch(/certificate/u);
    expect(calls[0]).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no', cause: error });
  });

  it('is a certificate that the other side asks for in vain', async () => {
    const { server, ca } = await certificates();
    const listener = await listening({ tls: { ...server, ca, requestCert: true } });

    const { error } = await endOf({ ...tcpAddressOf(listener), tls: { ca } });

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECT' });
    expect(error?.message).toMatch(/alert/u);
  });

  it('is another protocol', async () => {
    const ssh = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('SSH-2.0-OpenSSH_9.0\r\n');
    }).listen(0, '127.0.0.1');
    afterTest(() => ssh.close());
    await new Promise((resolve) => ssh.once('listening', resolve));

    const { error } = await endOf({ host: '127.0.0.1', port: (ssh.address() as AddressInfo).port });

    expect(error).toMatchObject({ code: 'IC_ERR_PROTOCOL' });
  });

  it('is an option that is wrong, also one that a function gives', async () => {
    const address = await echoing();
    const wrong = { ...address, data: () => 'a token' as unknown as Buffer };

    const { error, calls } = await endOf(wrong);

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error?.message).toContain('Connect data must be a Buffer');
    expect(calls[0]).toMatchObject({ code: 'IC_ERR_OPTION', cause: error });
    expect(() => createConnection({ port: 0 })).toThrow('port must be an integer from 1 to 65535');
  });

  it('ends a connection that waited for its server, as soon as it shows', async () => {
    const clock = new ManualClock();
    const port = await freePort();
    const connection = create({ host: '127.0.0.1', port, clock });
    const closed = next(connection, 'close');
    await next(connection, 'connectError');

    await listening({ port, authenticate: (handshake) => handshake.reject() });
    await waitOut(clock, () => connection.status === 'closed');

    expect((await closed)[0]).toMatchObject({ status: Code.UNAUTHENTICATED });
  });

  it('is not a refusal for want of room', async () => {
    const clock = new ManualClock();
    let isFull = true;
    const address = await echoing({
      authenticate: (handshake) =>
        isFull ? handshake.reject(Code.OVERLOADED, 'full') : handshake.accept(),
    });
    const connection = create({ ...address, clock });
    const answer = connection.openSession('s').send(bytes);
    const [error] = await next(connection, 'connectError');
    isFull = false;
    await waitOut(clock, () => connection.status === 'open');

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_REJECTED', reason: 'full' });
    expect((await answer).data).toEqual(bytes);
  });
});

describe('a connection that is not wanted any more before it stands', () => {
  it.each(['before', 'while'] as const)('is given up by a signal that aborts %s', async (when) => {
    const mute = await RawListener.listen();
    const controller = new AbortController();
    const clock = new ManualClock();
    if (when === 'before') controller.abort();
    const connection = create({ ...mute.address, clock, signal: controller.signal });
    const closed = next(connection, 'close');
    const unsent = failure(connection.openSession('s').send(bytes));
    if (when === 'while') {
      await mute.accepted();
      controller.abort();
    }

    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    expect(await unsent).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    await until(() => clock.pending === 0);
  });

  it('is none of a signal when it has been open', async () => {
    const controller = new AbortController();
    const connection = create({ ...(await echoing()), signal: controller.signal });
    await next(connection, 'open');

    controller.abort();

    expect(connection.status).toBe('open');
  });

  it('is closed with all that waited', async () => {
    const mute = await RawListener.listen();
    const clock = new ManualClock();
    const connection = create({ ...mute.address, clock });
    const peer = await mute.accepted();
    const unsent = failure(connection.openSession('s').send(bytes));

    await Promise.all([connection.close(), connection.close()]);

    expect(await unsent).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
    expect(connection.status).toBe('closed');
    expect(connection.outage).toBeUndefined();
    await peer.closed;
    expect(clock.pending).toBe(0);
  });

  it.each(['status', 'connectError'] as const)('is closed within %s', async (event) => {
    const clock = new ManualClock();
    const address = event === 'status' ? await echoing() : { port: await freePort() };
    const connection = create({ host: '127.0.0.1', ...address, clock, idleTimeout: 0 });
    connection.once(event, () => void connection.close());

    await until(() => connection.status === 'closed' && clock.pending === 0);
    expect(connection.outage).toBeUndefined();
  });

  it('drains: what was sent arrives, and then it is closed', async () => {
    const connection = create(await echoing());
    const session = connection.openSession('s');
    const sends = ['one', 'two'].map((text) => session.send(Buffer.from(text)));

    await connection.drain();

    const answers = (await Promise.all(sends)).map(({ data }) => data.toString());
    expect(answers).toEqual(['one', 'two']);
    expect(connection.status).toBe('closed');
  });

  it('has nothing to drain if nothing was sent', async () => {
    const mute = await RawListener.listen();
    const clock = new ManualClock();
    const connection = create({ ...mute.address, clock });

    await connection.drain();

    expect(connection.status).toBe('closed');
    await until(() => clock.pending === 0);
  });
});

describe('several addresses', () => {
  it('are all named with their reasons, and the most telling gives the code', async () => {
    const strangers: Socket[] = [];
    const mute = createServer((socket) => {
      strangers.push(socket);
      socket.end();
    }).listen(0, '127.0.0.1');
    afterTest(() => mute.close());
    await new Promise((resolve) => mute.once('listening', resolve));
    const host = '127.0.0.1';
    const nobody = { host, port: await freePort() };
    const other = { host, port: (mute.address() as AddressInfo).port };
    const rejects = await echoing({
      authenticate: (handshake) => handshake.reject(0x8005, 'expired on 3 May', bytes),
    });

    const error = await failure(connect({ addresses: [nobody, other, rejects] }));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      status: 0x8005,
      reason: 'expired on 3 May',
      data: bytes,
    });
    expect(error.message).toMatch(/^No connection to any of 3 addresses\. /u);
    for (const [{ port }, reason] of [
      [nobody, 'connect ECONNREFUSED'],
      [other, 'it ended before the handshake'],
      [rejects, 'The other side rejected the connection: 0x8005, expired on 3 May'],
    ] as const) {
      expect(error.message).toContain(`127.0.0.1:${port}: ${reason}`);
    }
    const { errors } = error.cause as AggregateError;
    expect(errors.map(({ code }: { code: string }) => code)).toEqual([
      'IC_ERR_CONNECT',
      'IC_ERR_CONNECT',
      'IC_ERR_CONNECTION_REJECTED',
    ]);
  });

  it('are tried again as long as one of them may mend', async () => {
    const clock = new ManualClock();
    const host = '127.0.0.1';
    const nobody = { host, port: await freePort() };
    const rejects = await echoing({ authenticate: (handshake) => handshake.reject() });
    const connection = create({ addresses: [rejects, nobody], clock });
    const [error] = await next(connection, 'connectError');
    expect(connection.status).toBe('connecting');

    await echoing({ port: nobody.port });
    await waitOut(clock, () => connection.status === 'open');

    expect(error.message).toContain('UNAUTHENTICATED');
    expect(error.message).toContain('ECONNREFUSED');
  });
});
