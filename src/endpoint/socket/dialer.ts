/** Opens sockets to the addresses of one other side, and introduces this side on them. */
import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net';
import {
  connect as connectTls,
  type ConnectionOptions as TlsConnectOptions,
  TLSSocket,
} from 'node:tls';
import {
  type ConnectionMachine,
  type DialerEffects,
  DialerHandshake,
  type Failure,
  type Greeting,
  TimeBudget,
} from '../../protocol/index.js';
import { whenUsedUp } from '../common/clock.js';
import {
  type Address,
  badTls,
  type DialFailure,
  noSocket,
  noWelcome,
  optionFailed,
  roundOf,
  socketClosed,
  tooLate,
} from './dial-errors.js';
import { Driver, type IntroductionEffects } from './driver.js';
import { tlsError } from '../common/errors.js';
import { conceal } from '../common/inspection.js';
import type { Settings } from '../common/options.js';
import { type Peer, peerOf, serverName } from '../common/peer.js';
import { type CheckedTls, tlsFaultOf } from './tls-options.js';

/** The results of a dialer's sockets. */
export interface DialEffects {
  /** The connection that the next socket is to resume. */
  readonly resumable: ConnectionMachine | undefined;
  /** The other side begins a new connection: give one that has not begun. */
  onBegin(): ConnectionMachine;
  onOpen(driver: Driver, greeting: Greeting, peer: Peer): void;
  onResumed(driver: Driver, greeting: Greeting, peer: Peer): void;
  /**
   * The connection that this side wanted to resume is over: the two sides do not agree on the frames that have arrived.
   */
  onUnresumable(failure: Failure): void;
}

/** The dialer's knowledge of the other side. */
export interface DialTarget {
  readonly addresses: readonly Address[];
  /** Whether sockets are encrypted. */
  readonly encrypts: boolean;
  /** Returns the TLS options and this side's connect data, anew for each attempt. May throw. */
  provide(): Provided | Promise<Provided>;
  /** Milliseconds for each address of a name, except the last. */
  readonly attemptTimeout: number;
}

/** The values that one attempt gets from the application. */
export interface Provided {
  readonly tls: CheckedTls<TlsConnectOptions> | undefined;
  /** The connect data of HELLO. */
  readonly data: Buffer;
}

/** One attempt: it ends once, by a connection or by a failure. */
interface Attempt {
  readonly address: Address;
  readonly listener: DialEffects;
  readonly signal: AbortSignal;
  /** The time until the connection must be established. */
  readonly patience: TimeBudget;
}

/** @internal */
export class Dialer {
  readonly #target: DialTarget;
  readonly #settings: Settings;
  readonly #canResume: boolean;
  /** The index of the address that is tried first. */
  #first = 0;

  /** `canResume`: whether connections are to survive their sockets. */
  constructor(target: DialTarget, settings: Settings, canResume: boolean) {
    this.#target = target;
    this.#settings = settings;
    this.#canResume = canResume;
  }

  /** The addresses that are dialed. */
  get addresses(): readonly Address[] {
    return this.#target.addresses;
  }

  /** Lets the other addresses come first: the address of the newest connection is about to disappear. */
  avoid(): void {
    this.#first = (this.#first + 1) % this.#target.addresses.length;
  }

  /**
   * Tries one address after the other, beginning with the last good one. Resolves with the failure if every address
   * failed. Resolves with undefined if there is a connection, or the signal has aborted. Never rejects.
   */
  dial(listener: DialEffects, signal: AbortSignal): Promise<DialFailure | undefined> {
    // The caller may be a call that needs the connection: the socket does not run in that call's scope.
    return this.#settings.scope.runInAsyncScope(() => this.#dial(listener, signal));
  }

  async #dial(listener: DialEffects, signal: AbortSignal): Promise<DialFailure | undefined> {
    const { addresses } = this.#target;
    const tried: Address[] = [];
    const failures: DialFailure[] = [];
    while (tried.length < addresses.length) {
      const at = (this.#first + tried.length) % addresses.length;
      const address = addresses[at] ?? {};
      tried.push(address);
      const failure = await this.#try(address, listener, signal);
      if (signal.aborted) return undefined;
      if (failure === undefined) {
        this.#first = at;
        return undefined;
      }
      failures.push(failure);
    }
    return roundOf(tried, failures);
  }

  async #try(
    address: Address,
    listener: DialEffects,
    signal: AbortSignal,
  ): Promise<DialFailure | undefined> {
    const { clock, handshakeTimeout, network } = this.#settings;
    const patience = new TimeBudget(handshakeTimeout, clock.now());
    const attempt: Attempt = { address, listener, signal, patience };
    let provided: Provided | DialFailure | undefined;
    let socket: Socket;
    try {
      const given = this.#target.provide();
      provided = 'then' in given ? await this.#provided(attempt, given) : given;
      if (provided === undefined || 'error' in provided) return provided;
      socket =
        network?.connect() ?? open(address, provided.tls?.options, this.#target.attemptTimeout);
    } catch (error) {
      return optionFailed(address, error);
    }
    // An 'error' event without a listener ends the process. This one covers the gaps between the other listeners.
    socket.on('error', () => undefined);
    const cancel = (): void => void socket.destroy();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const failure = await this.#established(attempt, socket);
      if (failure !== undefined) return failure;
      const fault =
        provided.tls && socket instanceof TLSSocket && tlsFaultOf(socket, provided.tls.policy);
      if (typeof fault === 'string') {
        socket.destroy();
        return badTls(address, fault);
      }
      if (socket.destroyed)
        return noSocket(address, socket.errored ?? socketClosed(), this.#stage('encrypted'));
      return await this.#introduce(attempt, socket, provided.data);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  /** Waits for the application's functions, within the time of the attempt. */
  #provided(
    { address, signal, patience }: Attempt,
    promise: Promise<Provided>,
  ): Promise<Provided | DialFailure | undefined> {
    return new Promise((resolve) => {
      const { clock, handshakeTimeout } = this.#settings;
      const settle = (result: Provided | DialFailure | undefined): void => {
        stopTimer();
        signal.removeEventListener('abort', onAbort);
        resolve(result);
      };
      const onAbort = (): void => settle(undefined);
      const stopTimer = whenUsedUp(patience, clock, () => {
        settle(tooLate(address, 'the functions in the options gave nothing', handshakeTimeout));
      });
      signal.addEventListener('abort', onAbort, { once: true });
      promise.then(settle, (error: unknown) => settle(optionFailed(address, error)));
    });
  }

  /** Waits for the socket, and for TLS if the socket is to be encrypted. */
  #established({ address, patience }: Attempt, socket: Socket): Promise<DialFailure | undefined> {
    return new Promise((resolve) => {
      const { clock, handshakeTimeout } = this.#settings;
      const readyEvent = this.#target.encrypts ? 'secureConnect' : 'connect';
      const settle = (failure?: DialFailure): void => {
        stopTimer();
        socket.off(readyEvent, onReady);
        socket.off('error', onError);
        socket.off('close', onClose);
        resolve(failure);
      };
      const onReady = (): void => settle();
      const onError = (error: Error): void =>
        settle(noSocket(address, error, this.#stage('encrypting')));
      const onClose = (): void => onError(socketClosed());
      const stopTimer = whenUsedUp(patience, clock, () => {
        settle(tooLate(address, 'no socket', handshakeTimeout));
        socket.destroy();
      });
      socket.once(readyEvent, onReady);
      socket.once('error', onError);
      socket.once('close', onClose);
    });
  }

  #stage<Stage extends string>(stage: Stage): Stage | 'plain' {
    return this.#target.encrypts ? stage : 'plain';
  }

  /** Performs the handshake: sends HELLO, and receives WELCOME or a refusal. */
  #introduce(
    { address, listener, patience }: Attempt,
    socket: Socket,
    data: Buffer,
  ): Promise<DialFailure | undefined> {
    return new Promise((resolve) => {
      const { limits, agent, clock, scope, handshakeTimeout } = this.#settings;
      const greeting = { limits, agent, data, canResume: this.#canResume };
      const effects: DialerEffects = {
        begin: () => listener.onBegin(),
        open: (_connection, welcome) => {
          listener.onOpen(driver, welcome, peerOf(socket, welcome.agent, address.path));
          // Code that awaits the connection attaches its listeners before the next frame is handled.
          driver.hold();
          resolve(undefined);
        },
        resumed: (welcome) => {
          listener.onResumed(driver, welcome, peerOf(socket, welcome.agent, address.path));
          resolve(undefined);
        },
        unresumable: (failure) => listener.onUnresumable(failure),
      };
      const handshake = new DialerHandshake(effects, greeting, listener.resumable);
      const settings = { handshake, handshakeTimeout, patience };
      const introduction: IntroductionEffects = {
        onFailed: (failure) => {
          if (failure?.kind === 'handshake-timeout') {
            return resolve(tooLate(address, 'no answer to the handshake', handshakeTimeout));
          }
          // The socket was lost before there was a connection: for the caller, there was no socket.
          if (failure === undefined || failure.kind === 'connection-lost') {
            const cause =
              driver.error ?? socket.errored ?? new Error('it ended before the handshake');
            return resolve(noSocket(address, cause, this.#stage('encrypted')));
          }
          resolve(noWelcome(address, failure));
        },
      };
      const driver: Driver = new Driver(socket, settings, clock, introduction, scope);
    });
  }
}

function open(
  address: Address,
  tls: TlsConnectOptions | undefined,
  attemptTimeout: number,
): Socket {
  const common = socketOptions(address, attemptTimeout);
  // [IC-2.1]
  if (tls === undefined) return connectTcp(common);
  const { host = 'localhost', path } = address;
  const servername = serverName(host);
  try {
    const socket = connectTls({
      ...(servername === undefined || path !== undefined ? {} : { servername }),
      ...tls,
      ...common,
    });
    // The socket has the options of the dialer, with its private key, in a visible field.
    conceal(socket, '[TLSSocket of a Connection]');
    return socket;
  } catch (cause) {
    throw tlsError(cause);
  }
}

/** @internal Returns Node's options for an address. */
export function socketOptions(
  { host = 'localhost', port = 0, path }: Address,
  autoSelectFamilyAttemptTimeout: number,
): NetConnectOpts {
  const common = { allowHalfOpen: true, noDelay: true };
  if (path !== undefined) return { ...common, path };
  // A host on another continent answers later than Node's default of 250 ms allows.
  return { ...common, host, port, autoSelectFamilyAttemptTimeout };
}
