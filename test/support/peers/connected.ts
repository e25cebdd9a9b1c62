/** A listener and connections to it, on this machine. They close at the end of the test. */
import {
  connect,
  type Connection,
  type ConnectOptions,
  type DialerTlsOptions,
  Listener,
  type ListenerOptions,
  type Session,
  type TcpAddress,
} from 'nestjs-interconnect/core';
import { afterTest } from '../after-test.js';
import { next } from '../events.js';

/** A listener on 127.0.0.1, unless the options say otherwise. */
export async function listening(options: ListenerOptions = {}): Promise<Listener> {
  const isElsewhere = options.path !== undefined || options.network !== undefined;
  const where = isElsewhere ? {} : { host: '127.0.0.1', port: 0 };
  const listener = new Listener({ ...where, ...options });
  afterTest(() => listener.close());
  await listener.listen();
  return listener;
}

/** The address of the listener, as options for `connect`. */
export function addressOf(listener: Listener): { host: string; port: number } | { path: string } {
  const { address } = listener;
  if (address === undefined) throw new Error('The listener does not listen.');
  return 'path' in address ? address : { host: address.host, port: address.port };
}

export function tcpAddressOf(listener: Listener): TcpAddress {
  const { address } = listener;
  if (address === undefined || 'path' in address) throw new Error('There is no TCP address.');
  return address;
}

/** A new connection to the listener. */
export async function dial(
  listener: Listener,
  options: Partial<ConnectOptions> = {},
): Promise<Connection> {
  const where = options.network === undefined ? addressOf(listener) : {};
  const connection = await connect({ ...where, ...options });
  afterTest(() => connection.close());
  return connection;
}

export interface Connected {
  readonly listener: Listener;
  /** The listener's end of the connection. */
  readonly acceptor: Connection;
  readonly dialer: Connection;
}

export async function connected(
  listenerOptions: ListenerOptions = {},
  connectOptions: Partial<ConnectOptions> = {},
): Promise<Connected> {
  const listener = await listening(listenerOptions);
  const accepted = next(listener, 'connection');
  const dialer = await dial(listener, connectOptions);
  const [acceptor] = await accepted;
  return { listener, acceptor, dialer };
}

export interface InSession extends Connected {
  /** The dialer's end of the session. The dialer has opened it. */
  readonly session: Session;
  /** The listener's end of the session. It has accepted the session, and has no listener for messages yet. */
  readonly accepted: Session;
}

/** As `connected`, with a session between the two sides. */
export async function inSession(
  listenerOptions: ListenerOptions = {},
  connectOptions: Partial<ConnectOptions> = {},
): Promise<InSession> {
  const pair = await connected(listenerOptions, connectOptions);
  const incoming = next(pair.acceptor, 'session');
  pair.acceptor.once('session', (session) => session.accept());
  const session = await pair.dialer.createSession('test');
  const [accepted] = await incoming;
  return { ...pair, session, accepted };
}

/** Accepts each session, and answers each message with the message's own bytes. */
export function echo(connection: Connection): void {
  connection.on('session', (session) => {
    session.on('message', (message) => message.respond(message.data));
    session.accept();
  });
}

/** Connects to a listener with these options, and returns `open`, or the code and the message of the error. */
export async function outcomeOf(listener: ListenerOptions, tls: DialerTlsOptions): Promise<string> {
  const bound = await listening(listener);
  try {
    const connection = await connect({ ...addressOf(bound), tls, reconnect: false });
    afterTest(() => connection.close());
    return 'open';
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
}
