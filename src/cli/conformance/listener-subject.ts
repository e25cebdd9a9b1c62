/** A listener under test. Each case dials it as often as it needs. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describeTarget, type Target } from '../address.js';
import { messageOf } from '../message-of.js';
import { UsageError } from '../usage-error.js';
import { Mismatch } from './mismatch.js';
import { Peer } from './peer.js';
import type { Subject } from './subject.js';
import type { Waits } from './waits.js';

export interface ListenerOptions extends Waits {
  readonly target: Target;
  /** Whether the suite uses TLS. The suite does not verify the certificate, because it tests the protocol only. */
  readonly tls: boolean;
}

/** The listener during one case. */
export function listenerSubject(options: ListenerOptions): Subject {
  const sockets: Socket[] = [];
  return {
    role: 'listener',
    timeout: options.timeout,
    patience: options.patience,
    isEncrypted: options.tls,
    connect: async (alpn) => {
      const socket = dial(options, alpn);
      sockets.push(socket);
      await established(socket, options).catch((error: Error) => {
        throw new Mismatch('a socket', error.message);
      });
      return new Peer(socket, options);
    },
    dispose: () => {
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}

/** @throws UsageError if the address accepts no connection. */
export async function checkReachable(options: ListenerOptions): Promise<void> {
  const socket = dial(options);
  try {
    await established(socket, options);
  } catch (error) {
    throw new UsageError(
      `No connection to ${describeTarget(options.target)}: ${messageOf(error)}.`,
    );
  } finally {
    socket.destroy();
  }
}

function dial({ target, tls }: ListenerOptions, alpn: readonly string[] = ['intc/1']): Socket {
  const common = { ...target, allowHalfOpen: true, noDelay: true };
  return tls
    ? connectTls({ ...common, ALPNProtocols: [...alpn], rejectUnauthorized: false })
    : connectTcp(common);
}

function established(socket: Socket, { tls, timeout }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${timeout} ms`)),
      timeout,
    );
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(new Error(reasonOf(error)));
    });
    socket.once('close', () => reject(new Error('the socket was closed')));
  });
}

/** Node tried several addresses of one host name: the single reasons are in `errors`. */
function reasonOf(error: Error): string {
  const causes: unknown[] =
    'errors' in error && Array.isArray(error.errors) ? error.errors : [error];
  return causes.map(messageOf).join('; ');
}
