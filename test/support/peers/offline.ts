/** Connections without a socket, and helpers for their calls. */
import {
  connect,
  type Connection,
  type ConnectOptions,
  type Listener,
  type Session,
  type WhenOffline,
} from 'nestjs-interconnect/core';
import { Capability } from '../../../src/wire/index.js';
import { afterTest } from '../after-test.js';
import { listening, tcpAddressOf } from './connected.js';
import { next, turn } from '../events.js';
import { ManualClock } from '../sim/manual-clock.js';
import { RawListener, type RawPeer } from './raw-peer.js';

export const bytes = Buffer.from('bytes');
export const quiet = { idleTimeout: 0 };

/** A clock that counts the timers that keep the process alive. */
export class AlarmClock extends ManualClock {
  alarms = 0;

  override setAlarm(delay: number, callback: () => void): () => void {
    this.alarms += 1;
    let isOver = false;
    const end = (): void => {
      if (!isOver) this.alarms -= 1;
      isOver = true;
    };
    const stop = super.setAlarm(delay, () => {
      end();
      callback();
    });
    return () => {
      end();
      stop();
    };
  }
}

/** A listener that answers each message with its own bytes. */
export async function echoing(port = 0): Promise<Listener> {
  const listener = await listening({ host: '127.0.0.1', port, resumeTimeout: 0, ...quiet });
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on('message', (message) => message.respond(message.data));
      session.accept();
    });
  });
  return listener;
}

/** A connection that can lose its socket and its listener. */
export async function abandoned(options: Partial<ConnectOptions> = {}) {
  const clock = new AlarmClock();
  const listener = await echoing();
  const { host, port } = tcpAddressOf(listener);
  const connection = await connect({ host, port, clock, ...quiet, ...options });
  afterTest(() => connection.close());
  const session = await connection.createSession('s');
  const lose = async (): Promise<void> => {
    const detached = next(connection, 'detach');
    for (const each of listener.connections) each.socket.destroy();
    await listener.close();
    await detached;
  };
  return { connection, session, clock, host, port, lose };
}

/** Lets the outage last this long. All attempts that are due meanwhile take place. */
export async function age(
  clock: ManualClock,
  connection: Connection,
  duration: number,
): Promise<void> {
  while ((connection.outage?.duration ?? duration) < duration) {
    clock.advance(Math.min(50, duration - (connection.outage?.duration ?? 0)));
    for (let turns = 0; turns < 10; turns++) await turn();
  }
}

/** The errors of the calls that have failed so far. */
export function watch(...calls: Promise<unknown>[]): unknown[] {
  const failed: unknown[] = [];
  for (const call of calls) call.catch((error: unknown) => failed.push(error));
  return failed;
}

export const send = (session: Session, whenOffline?: WhenOffline): Promise<unknown> =>
  session.send(bytes, { timeout: 0, whenOffline });

/** A connection to a listener that the test writes by hand. Each later socket resumes the connection. */
export async function raw(options: Partial<ConnectOptions> = {}) {
  const clock = new AlarmClock();
  const listener = await RawListener.listen();
  const connecting = connect({ ...listener.address, clock, ...quiet, ...options });
  let first: RawPeer | undefined = await listener.accepted();
  const token = { token: Buffer.alloc(32, 7), ttl: 60_000 };
  await first.welcome({ caps: Capability.RESUME, token });
  const connection = await connecting;
  afterTest(() => connection.close());
  const sockets = async (): Promise<RawPeer> => {
    const peer = first ?? (await listener.accepted());
    if (first === undefined) await peer.welcome({ caps: Capability.RESUME, resumed: 0 });
    first = undefined;
    return peer;
  };
  return { connection, clock, sockets, listener };
}
