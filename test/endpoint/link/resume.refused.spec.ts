import { describe, expect, it } from '@jest/globals';
import type { Connection, Listener } from 'nestjs-interconnect/core';
import { Capability, Code, type Frame, FrameType, type Meta } from '../../../src/wire/index.js';
import { certificates } from '../../support/peers/certificates.js';
import { dial, inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawPeer } from '../../support/peers/raw-peer.js';

const offer: Meta = { caps: Capability.RESUME };
const soon = { minDelay: 1, maxDelay: 1 };

/** Accepts what comes on any connection, remembers it, and settles what does not ask to hang. */
function serve(listener: Listener): { ran: string[]; accepted: Connection[] } {
  const served = { ran: [] as string[], accepted: [] as Connection[] };
  listener.on('connection', (connection) => {
    served.accepted.push(connection);
    connection.on('session', (session) => {
      session.on('message', (message) => {
        served.ran.push(message.data.toString());
        if (!message.data.toString().startsWith('hang')) message.respond(message.data);
      });
      session.accept();
    });
  });
  return served;
}

describe('a connection whose listener keeps none without a socket', () => {
  it('is begun anew: what did not run runs, and the rest is told', async () => {
    const listener = await listening({ resumeTimeout: 0 });
    const { ran, accepted } = serve(listener);
    const connection = await dial(listener, { reconnect: soon });
    const session = await connection.createSession('s');
    const sent = failure(session.send(Buffer.from('hang')));
    const again = session.send(Buffer.from('hang idempotent'), { idempotent: true });
    await until(() => ran.length === 2);
    const [first] = accepted;
    const renewed = next(connection, 'renew');
    const closed = first && next(first, 'close');

    first?.socket.destroy();
    await next(connection, 'detach');
    const unsent = session.send(Buffer.from('later'));
    await renewed;

    expect((await unsent).data.toString()).toBe('later');
    expect(await sent).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    expect(ran).toEqual(['hang', 'hang idempotent', 'hang idempotent', 'later']);
    expect((await closed)?.[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    expect([accepted.length, listener.connections.size]).toEqual([2, 1]);
    const last = failure(again);
    await connection.close();
    expect(await last).toMatchObject({ code: 'IC_ERR_CLOSED' });
  });

  it('is begun anew: a rejection there does not say that nothing ran before', async () => {
    const listener = await listening({ resumeTimeout: 0 });
    let count = 0;
    listener.on('connection', (each) =>
      each.on('session', (session) => {
        session.on('message', (message) => {
          count += 1;
          if (count > 1) message.reject(Code.REFUSED);
          else each.socket.destroy();
        });
        session.accept();
      }),
    );
    const connection = await dial(listener, { reconnect: soon });
    const session = await connection.createSession('s');

    const outcome = await session.send(Buffer.from('x'), { idempotent: true });

    expect(count).toBe(2);
    expect(outcome).toMatchObject({ accepted: false, code: Code.REFUSED, executed: 'maybe' });
  });

  it('says nothing of why where it is asked to resume all the same [IC-17.23]', async () => {
    const listener = await listening({ resumeTimeout: 0 });
    const peer = await RawPeer.dial(tcpAddressOf(listener));

    peer.greet({ ...offer, resume: { token: Buffer.alloc(32), received: 0 } });

    const { meta } = await peer.frame(FrameType.WELCOME);
    expect([meta.caps, meta.code, meta.token, meta.resumed]).toEqual([
      0,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('a connection that the listener does not know any more', () => {
  it('has what waited sent again in its order, one-way and large messages included [IC-17.32]', async () => {
    const listener = await listening();
    const { ran, accepted } = serve(listener);
    const connection = await dial(listener, { reconnect: soon });
    const session = await connection.createSession('s');
    const texts = Array.from({ length: 40 }, (_, index) => `${index}`);

    const detached = next(connection, 'detach');
    connection.socket.destroy();
    await detached;
    const sent = texts.map((text, index) => {
      const data = Buffer.from(text.padEnd(index % 7 === 5 ? 100_000 : 0));
      return session.send(data, index % 3 === 1 ? { oneWay: true as boolean } : {});
    });
    await accepted[0]?.close();

    await Promise.all(sent);
    await until(() => ran.length === texts.length);
    expect(ran.map((text) => text.trim())).toEqual(texts);
  });
});

describe('a connection whose dialer comes back', () => {
  it('too late is not there any more [IC-17.11]', async () => {
    const patience = new ManualClock();
    const clock = new ManualClock();
    const { acceptor, dialer, session } = await inSession(
      { clock: patience, idleTimeout: 0 },
      { clock, idleTimeout: 0, reconnect: soon },
    );
    const closed = next(acceptor, 'close');

    dialer.socket.destroy();
    await until(() => acceptor.status === 'detached' && dialer.status === 'detached');
    patience.advance(119_999);
    expect(acceptor.status).toBe('detached');
    patience.advance(1);
    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    await until(() => acceptor.status === 'closed');

    const renewed = next(dialer, 'renew');
    clock.advance(1);
    await renewed;
    expect(dialer.status).toBe('open');
    expect(session.status).toBe('opening');
    expect(patience.pending).toBeLessThan(3);
  });

  it('in time has all the time again when the next socket is lost', async () => {
    const patience = new ManualClock();
    const clock = new ManualClock();
    const { acceptor, dialer } = await inSession(
      { clock: patience, idleTimeout: 0, resumeTimeout: 1000 },
      { clock, idleTimeout: 0, reconnect: soon },
    );

    for (let round = 0; round < 3; round++) {
      dialer.socket.destroy();
      await until(() => acceptor.status === 'detached' && dialer.status === 'detached');
      patience.advance(999);
      clock.advance(1);
      await until(() => acceptor.status === 'open' && dialer.status === 'open');
    }

    patience.advance(10_000);
    expect(acceptor.status).toBe('open');
  });

  it('as somebody else begins a new one, and the former is left as it is [IC-17.18] [IC-17.30]', async () => {
    let principal = 'alice';
    const listener = await listening({
      authenticate: (handshake) => handshake.accept(undefined, principal),
    });
    const { accepted } = serve(listener);
    const connection = await dial(listener, { reconnect: soon });
    const session = await connection.createSession('s');
    const renewed = next(connection, 'renew');

    principal = 'mallory';
    connection.socket.destroy();
    await renewed;

    expect(accepted.map(({ status }) => status)).toEqual(['detached', 'open']);
    expect(accepted.map((each) => each.principal)).toEqual(['alice', 'mallory']);
    expect(await session.send(Buffer.from('x'))).toMatchObject({ accepted: true });
  });

  it.each([
    ['with the same certificate goes on', false],
    ['with another certificate begins a new one', true],
  ])('%s', async (_what, another) => {
    const { ca, client, server } = await certificates();
    const listener = await listening({ tls: { ...server, ca, requestCert: true } });
    const { accepted } = serve(listener);
    const tls = { ca, ...client };
    const connection = await dial(listener, { tls, reconnect: soon });
    const back = next(connection, another ? 'renew' : 'resume');

    // Another one of the same authority: it may connect, and is somebody else.
    if (another) Object.assign(tls, server);
    connection.socket.destroy();
    await back;

    expect(accepted).toHaveLength(another ? 2 : 1);
  });
});

describe('a listener that is asked to resume', () => {
  async function welcomed(
    listener: Listener,
    meta: Meta = offer,
  ): Promise<{ peer: RawPeer; welcome: Frame }> {
    const peer = await RawPeer.dial(tcpAddressOf(listener));
    peer.greet(meta);
    return { peer, welcome: await peer.frame(FrameType.WELCOME) };
  }

  function tokenOf({ meta }: Frame): Buffer {
    if (meta.token === undefined) throw new Error('There is no token.');
    return Buffer.from(meta.token.token);
  }

  it('gives a token of its own for each connection, and says for how long [IC-17.1] [IC-17.2]', async () => {
    const listener = await listening({ resumeTimeout: 7000 });

    const welcomes = [(await welcomed(listener)).welcome, (await welcomed(listener)).welcome];

    expect(welcomes.map(({ meta }) => meta.token?.ttl)).toEqual([7000, 7000]);
    const [one, other] = welcomes.map(tokenOf);
    expect(one?.equals(other ?? Buffer.alloc(0))).toBe(false);
  });

  it('gives none to a dialer that does not offer it, and ends with the socket [IC-16.1] [IC-17.3]', async () => {
    const listener = await listening();
    const { peer, welcome } = await welcomed(listener, {});
    expect(welcome.meta.token).toBeUndefined();

    peer.socket.destroy();

    await until(() => listener.connections.size === 0);
  });

  it('answers a token that it never gave with a new connection, in the same round trip [IC-17.18] [IC-17.29]', async () => {
    const listener = await listening();
    const { welcome } = await welcomed(listener);
    const token = tokenOf(welcome);
    const halfRight = Buffer.concat([token.subarray(0, 16), Buffer.alloc(16)]);

    for (const garbage of [Buffer.alloc(32), halfRight]) {
      const { welcome: again } = await welcomed(listener, {
        ...offer,
        resume: { token: garbage, received: 0 },
      });

      expect(again.meta.code).toBe(Code.RESUME_UNKNOWN);
      expect(again.meta.resumed).toBeUndefined();
      expect(tokenOf(again)).toHaveLength(32);
    }
    expect(listener.connections.size).toBe(3);
  });

  it('answers a count that cannot be with a new connection, and leaves the former alone [IC-17.18] [IC-17.31]', async () => {
    const listener = await listening();
    const { peer, welcome } = await welcomed(listener);

    for (const received of [1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      const resume = { token: tokenOf(welcome), received };
      const { welcome: again } = await welcomed(listener, { ...offer, resume });
      expect(again.meta.code).toBe(Code.RESUME_GAP);
    }

    peer.send({ type: FrameType.PING, id: 9 });
    expect(await peer.frame(FrameType.PONG)).toMatchObject({ id: 9 });
  });

  it('takes no notice of a token where the dialer does not offer to resume [IC-17.23]', async () => {
    const listener = await listening();
    const { peer, welcome } = await welcomed(listener);

    const { welcome: again } = await welcomed(listener, {
      resume: { token: tokenOf(welcome), received: 0 },
    });

    expect(again.meta).not.toHaveProperty('resumed');
    expect(again.meta).not.toHaveProperty('code');
    peer.send({ type: FrameType.PING, id: 9 });
    await peer.frame(FrameType.PONG);
  });

  it('judges the dialer as any other before that, and the connection stays as it is [IC-17.17]', async () => {
    let isWelcome = true;
    const listener = await listening({
      authenticate: (handshake) => (isWelcome ? handshake.accept() : handshake.reject()),
    });
    const { peer, welcome } = await welcomed(listener);
    const stranger = await RawPeer.dial(tcpAddressOf(listener));

    isWelcome = false;
    stranger.greet({ ...offer, resume: { token: tokenOf(welcome), received: 0 } });

    expect((await stranger.frame(FrameType.CLOSE)).meta.code).toBe(Code.UNAUTHENTICATED);
    peer.send({ type: FrameType.PING, id: 9 });
    await peer.frame(FrameType.PONG);
    expect(listener.connections.size).toBe(1);
  });

  it('keeps the token as long as the connection lasts, however often it is used', async () => {
    const listener = await listening();
    const { welcome } = await welcomed(listener);
    const resume = { token: tokenOf(welcome), received: 0 };

    for (let round = 0; round < 3; round++) {
      const { welcome: again } = await welcomed(listener, { ...offer, resume });
      expect(again.meta).toMatchObject({ resumed: 0 });
    }

    expect(listener.connections.size).toBe(1);
    const [connection] = listener.connections;
    await connection?.close();
    const { welcome: late } = await welcomed(listener, { ...offer, resume });
    expect(late.meta.code).toBe(Code.RESUME_UNKNOWN);
  });
});
