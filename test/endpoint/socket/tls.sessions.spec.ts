/** TLS sessions: which session tickets a listener takes, and what may not change within one TLS connection. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  connect as connectTls,
  createServer,
  type ConnectionOptions,
  type TLSSocket,
} from 'node:tls';
import { connect, type Listener, type ListenerTlsOptions } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { next, until } from '../../support/events.js';
import { authority, type Identity, issue } from '../../support/peers/certificates.js';
import { echo, listening, tcpAddressOf } from '../../support/peers/connected.js';

let ca: Identity;
let removed: Identity;
let server: Identity;
/** Certificates of the two authorities. */
let alice: Identity;
let mallory: Identity;

beforeAll(async () => {
  [ca, removed] = await Promise.all([authority('authority'), authority('removed')]);
  [server, alice, mallory] = await Promise.all([
    issue(ca, { names: ['localhost'] }),
    issue(ca, { names: ['alice'] }),
    issue(removed, { names: ['mallory'] }),
  ]);
});

const ticketKeys = randomBytes(48);

interface Visit {
  readonly session: Buffer | undefined;
  readonly isReused: boolean;
  /** Whether the listener took the socket. */
  readonly isTaken: boolean;
}

/** Opens a TLS socket, and waits until the listener has ended the socket. */
async function visit(listener: Listener, options: ConnectionOptions): Promise<Visit> {
  const { port } = tcpAddressOf(listener);
  let isTaken = false;
  const onTaken = (): void => void (isTaken = true);
  listener.server?.once('secureConnection', onTaken);
  const common = { port, host: '127.0.0.1', ca: ca.cert, ALPNProtocols: ['intc/1'] };
  const socket = connectTls({ ...common, ...options });
  afterTest(() => socket.destroy());
  socket.on('error', () => undefined);
  const sessions: Buffer[] = [];
  socket.on('session', (session: Buffer) => sessions.push(session));
  let isReused = false;
  socket.once('secureConnect', () => (isReused = socket.isSessionReused()));
  // A preface of version 0: the listener answers, so that its tickets leave as well, and closes.
  socket.write(Buffer.from('f1494e54430d0a00', 'hex'));
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  listener.server?.off('secureConnection', onTaken);
  return { session: sessions.at(-1), isReused, isTaken };
}

describe('a session ticket', () => {
  it.each<[string, ListenerTlsOptions, boolean]>([
    ['shortens the next handshake', {}, true],
    ['is not given if the application wants none', { sessionTickets: false }, false],
    ['is not given to dialers with a certificate', { requestCert: true }, false],
    [
      'is given to dialers with a certificate upon request',
      { requestCert: true, sessionTickets: true },
      true,
    ],
  ])('%s', async (_name, tls, isReused) => {
    const listener = await listening({ tls: { ...server, ca: ca.cert, ...tls } });

    const { session } = await visit(listener, alice);
    const again = await visit(listener, { ...alice, ...(session && { session }) });

    expect(again).toMatchObject({ isReused, isTaken: true });
  });

  it.each<[string, Partial<ListenerTlsOptions>]>([
    ['without the certificate’s authority', {}],
    ['with other rules', { rejectUnauthorized: false }],
  ])(
    'with ticketKeys of the application opens nothing at a listener %s',
    async (_name, changed) => {
      const common = { ...server, requestCert: true, sessionTickets: true, ticketKeys };
      const before = await listening({ tls: { ...common, ca: [ca.cert, removed.cert] } });
      const same = await listening({ tls: { ...common, ca: [ca.cert, removed.cert] } });
      const after = await listening({ tls: { ...common, ca: ca.cert, ...changed } });
      const { session } = await visit(before, mallory);
      expect(session).toBeDefined();
      const returning = { ...mallory, ...(session && { session }) };

      // Several processes behind one address share their tickets.
      expect(await visit(same, returning)).toMatchObject({ isReused: true, isTaken: true });
      const isTaken = changed.rejectUnauthorized === false;
      expect(await visit(after, returning)).toMatchObject({ isReused: false, isTaken });
    },
  );
});

describe('renegotiation in TLS 1.2', () => {
  const versions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;

  it('ends the socket of the dialer that asks for it', async () => {
    const listener = await listening({ tls: { ...server, ...versions } });
    const { port } = tcpAddressOf(listener);
    const common = { port, host: '127.0.0.1', ca: ca.cert, ALPNProtocols: ['intc/1'] };
    const socket = connectTls({ ...common, ...versions });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    let isGranted = false;

    socket.renegotiate({}, (error) => (isGranted = error === null));
    await new Promise((resolve) => socket.once('close', resolve));

    expect(isGranted).toBe(false);
  });

  it('is refused to a listener that asks for it', async () => {
    const sockets: TLSSocket[] = [];
    const errors: Error[] = [];
    const foreign = createServer({ ...server, ...versions, ALPNProtocols: ['intc/1'] }, (socket) =>
      sockets.push(socket.on('error', (error) => errors.push(error))),
    );
    afterTest(() => foreign.close());
    await once(foreign.listen(0, '127.0.0.1'), 'listening');
    const { port } = foreign.address() as { port: number };
    const controller = new AbortController();
    const tls = { ca: ca.cert, ...versions };
    const dialing = connect({ host: '127.0.0.1', port, tls, signal: controller.signal });
    await until(() => sockets.length > 0);
    let isGranted = false;

    sockets[0]?.renegotiate({}, (error) => (isGranted = error === null));
    sockets[0]?.resume();
    await until(() => isGranted || errors.length > 0);

    expect(isGranted).toBe(false);
    expect(errors[0]?.message).toContain('no renegotiation');
    controller.abort();
    await expect(dialing).rejects.toMatchObject({ code: 'IC_ERR_CANCELLED' });
  });

  it('does not exist in 1.3, and the connection works', async () => {
    const listener = await listening({ tls: server });
    listener.on('connection', echo);
    const { port } = tcpAddressOf(listener);
    const accepted = next(listener, 'connection');
    const connection = await connect({ host: '127.0.0.1', port, tls: { ca: ca.cert } });
    afterTest(() => connection.close());
    const [acceptor] = await accepted;

    expect((connection.socket as TLSSocket).getProtocol()).toBe('TLSv1.3');
    expect((acceptor.socket as TLSSocket).getProtocol()).toBe('TLSv1.3');
    const session = await connection.createSession('echo');
    expect(await session.send(Buffer.from('x'))).toMatchObject({ accepted: true });
  });
});
