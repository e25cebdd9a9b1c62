/** Opens sockets to the addresses of one other side, and introduces this side on them. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsConnectOptions } from 'node:tls';
import type { ConnectionMachine, Failure, Greeting } from '../protocol/index.js';
import { Driver } from './driver.js';
import { errorOf, InterconnectError, messageOf, tame, tlsError } from './errors.js';
import type { Settings } from './options.js';
import { type Peer, peerOf, serverName } from './peer.js';

/** Where the other side listens: a TCP address, or a Unix socket. */
export interface Address {
  /** Name or address. Default `localhost`. */
  host?: string;
  /** 1 … 65,535; required without `path`. */
  port?: number;
  /** A Unix socket, instead of host and port. */
  path?: string;
}

/** What a dialer makes of a socket. */
export interface DialListener {
  /** The connection that the next socket is to continue. */
  readonly resumable: ConnectionMachine | undefined;
  /** The other side begins a new connection: give one that has not begun. */
  onBegin(): ConnectionMachine;
  onOpen(driver: Driver, greeting: Greeting, peer: Peer): void;
  onResumed(driver: Driver, greeting: Greeting, peer: Peer): void;
}

/** What the dialer needs to know of the other side. */
export interface DialTarget {
  readonly addresses: readonly Address[];
  readonly tls: TlsConnectOptions | true | undefined;
  readonly data: Buffer;
}

/** @internal */
export class Dialer {
  readonly #target: DialTarget;
  readonly #settings: Settings;
  readonly #canResume: boolean;
  /** Which address comes first. */
  #first = 0;

  /** `canResume`: whether connections are to survive their sockets. */
  constructor(target: DialTarget, settings: Settings, canResume: boolean) {
    this.#target = target;
    this.#settings = settings;
    this.#canResume = canResume;
  }

  /** The address of the newest connection is about to be gone: try the others first. */
  avoid(): void {
    this.#first = (this.#first + 1) % this.#target.addresses.length;
  }

  /**
   * Tries one address after the other, beginning with the last that was good.
   * @throws what the first of them failed with, where none was good.
   */
  async dial(listener: DialListener, signal: AbortSignal | undefined): Promise<void> {
    const { addresses } = this.#target;
    let failure: unknown;
    for (let tried = 0; tried < addresses.length; tried++) {
      const at = (this.#first + tried) % addresses.length;
      try {
        await this.#try(addresses[at] ?? {}, listener, signal);
        this.#first = at;
        return;
      } catch (error) {
        failure ??= error;
        if (signal?.aborted === true) throw error;
      }
    }
    throw failure;
  }

  async #try(
    address: Address,
    listener: DialListener,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (signal?.aborted === true) throw cancelledError();
    const { clock, handshakeTimeout, network } = this.#settings;
    const socket = network?.connect() ?? open(address, this.#target.tls);
    // Whatever happens between those who listen for it: an unheard 'error' ends the process.
    socket.on('error', () => undefined);
    const cancel = (): void => void socket.destroy(cancelledError());
    signal?.addEventListener('abort', cancel, { once: true });
    const started = clock.now();
    try {
      await this.#established(socket, address);
      if (socket.destroyed) throw connectError(address, socket.errored ?? socketClosed());
      const spent = clock.now() - started;
      const left = Math.ceil(Math.max(1, handshakeTimeout - spent));
      await this.#introduce(socket, address, left, listener);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Waits for the socket, encrypted where it shall be. */
  #established(socket: Socket, address: Address): Promise<void> {
    return new Promise((resolve, reject) => {
      const { clock, handshakeTimeout } = this.#settings;
      const readyEvent = this.#target.tls === undefined ? 'connect' : 'secureConnect';
      const stopTimer = clock.setTimer(handshakeTimeout, () => {
        socket.destroy(
          new InterconnectError(
            'IC_ERR_HANDSHAKE_TIMEOUT',
            `No connection to ${nameOf(address)} within ${handshakeTimeout} ms.`,
          ),
        );
      });
      const settle = (): void => {
        stopTimer();
        socket.off(readyEvent, onReady);
        socket.off('error', onError);
        socket.off('close', onClose);
      };
      const onReady = (): void => {
        settle();
        resolve();
      };
      const onError = (error: Error): void => {
        settle();
        reject(connectError(address, error));
      };
      const onClose = (): void => onError(socketClosed());
      socket.once(readyEvent, onReady);
      socket.once('error', onError);
      socket.once('close', onClose);
    });
  }

  /** The handshake: HELLO out, WELCOME or a refusal in. */
  #introduce(
    socket: Socket,
    address: Address,
    handshakeTimeout: number,
    listener: DialListener,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const { limits, agent, clock } = this.#settings;
      const greeting = { limits, agent, data: this.#target.data, canResume: this.#canResume };
      const resume = listener.resumable;
      const settings = { role: 'dialer', greeting, handshakeTimeout, resume } as const;
      const driver = new Driver(socket, settings, clock, {
        onHandshake: () => undefined,
        onBegin: () => listener.onBegin(),
        onOpen: (welcome) => {
          listener.onOpen(driver, welcome, peerOf(socket, welcome.agent, address.path));
          // Who awaits the connection attaches listeners before the next frame is looked at.
          driver.hold();
          resolve();
        },
        onResumed: (welcome) => {
          listener.onResumed(driver, welcome, peerOf(socket, welcome.agent, address.path));
          resolve();
        },
        onFailed: (failure) => {
          // Lost before there was a connection: to the caller, there never was a socket.
          const lost = failure === undefined || failure.kind === 'connection-lost';
          const cause =
            driver.error ?? socket.errored ?? new Error('it ended before the handshake');
          reject(lost ? connectError(address, cause) : errorOf(named(failure, address)));
        },
        onSocketClosed: () => undefined,
      });
    });
  }
}

function open({ host = 'localhost', port = 0, path }: Address, tls: DialTarget['tls']): Socket {
  const target = path === undefined ? { host, port } : { path };
  const common = { ...target, allowHalfOpen: true, noDelay: true };
  // [IC-2.1]
  if (tls === undefined) return connectTcp(common);
  const servername = serverName(host);
  try {
    return connectTls({
      // [IC-2.2]
      ALPNProtocols: ['intc/1'],
      ...(servername === undefined || path !== undefined ? {} : { servername }),
      ...(tls === true ? {} : tls),
      ...common,
    });
  } catch (cause) {
    throw tlsError(cause);
  }
}

/** What the other side said, or did not say in time, with its address. */
function named(failure: Failure, address: Address): Failure {
  if (failure.kind === 'connection-rejected') return failure;
  return { ...failure, message: `${nameOf(address)}: ${failure.message}` };
}

function nameOf({ host = 'localhost', port, path }: Address): string {
  return path ?? `${host}:${port}`;
}

function connectError(address: Address, cause: Error): InterconnectError {
  // The signal, or the clock.
  if (cause instanceof InterconnectError) return cause;
  // Node's text may quote names in the other side's certificate.
  tame(cause);
  // Several addresses were tried: the reasons are inside.
  const causes: unknown[] =
    'errors' in cause && Array.isArray(cause.errors) ? cause.errors : [cause];
  const reasons = causes.map(messageOf).join('; ').trim().replace(/\.$/u, '');
  const remedy = cause.message.includes('alert') ? ' Does it want a client certificate?' : '';
  const message = `No connection to ${nameOf(address)}: ${reasons}.${remedy}`;
  return new InterconnectError('IC_ERR_CONNECT', message, { cause });
}

function cancelledError(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The attempt to connect was aborted by its signal.',
  );
}

function socketClosed(): Error {
  return new Error('the socket was closed');
}
