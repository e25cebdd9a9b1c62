import { Logger } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import type { MsPattern, ReadPacket, WritePacket } from '@nestjs/microservices';
import { inspect } from 'node:util';
import { AsyncSubject, Observable } from 'rxjs';
import { connect, InterconnectError } from '../endpoint/index.js';
import type { Bytes, Connection, Outcome, SendOptions } from '../endpoint/index.js';
import { describeType, isBytes } from './bytes.js';
import { Cancellation } from './cancellation.js';
import { ConnectionSlot } from './connection-slot.js';
import type { OpenConnection } from './connection-slot.js';
import { toCallError, toException } from './error-mapping.js';
import { NOT_CONNECTED_MESSAGE } from './interconnect.constants.js';
import { InterconnectStatus } from './interconnect.events.js';
import type { InterconnectClientEvents } from './interconnect.events.js';
import { toConnectOptions } from './interconnect.options.js';
import type { InterconnectClientOptions } from './interconnect.options.js';
import { isInterconnectRecord } from './interconnect.record.js';
import type { InterconnectRecord } from './interconnect.record.js';
import { Notifier } from './notifier.js';

const EMPTY = Buffer.alloc(0);

/** Where the one outcome of a call goes. */
interface Caller {
  succeed(data: Buffer): void;
  fail(error: unknown): void;
}

/**
 * Calls the handlers of an `InterconnectServer`:
 *
 * ```ts
 * const result: Buffer = await firstValueFrom(client.send('replicate', chunk));
 * await lastValueFrom(client.emit('replicated', id));
 * ```
 *
 * It connects at the first call, and again at the next one after the connection was lost. Calls that
 * were pending then fail at once, with an `InterconnectError` whose `executed` tells whether the
 * handler may have run. A handler's own refusal or failure is an `InterconnectException`.
 */
export class InterconnectClient
  extends ClientProxy<InterconnectClientEvents>
  implements OnApplicationShutdown
{
  private readonly logger = new Logger(InterconnectClient.name);
  private readonly notifier = new Notifier<InterconnectClientEvents>(this.logger);
  private readonly isOneWay: boolean;
  private readonly slot: ConnectionSlot;

  constructor(options: InterconnectClientOptions = {}) {
    super();
    this.isOneWay = options.oneWay ?? false;
    const target = toConnectOptions(options);
    this.slot = new ConnectionSlot((signal) => connect({ ...target, signal }), {
      onOpened: (connection) => this.onOpened(connection),
      onFailed: (error) => this.onFailed(error),
      onClosed: (error) => this.onClosed(error),
    });
  }

  /**
   * Whether there is a connection; the last value at once, then every change. Narrowed here and not by the
   * base class's type parameter, with which a strict compiler takes no subclass for a `ClientProxy`.
   */
  override get status(): Observable<InterconnectStatus> {
    return super.status as Observable<InterconnectStatus>;
  }

  /**
   * Not needed before a call; it is for failing early. Callers at the same time share one attempt. Rejects
   * with an `InterconnectError` when there is no connection to be had; the next call tries again.
   */
  override async connect(): Promise<Connection> {
    const open = await this.slot.connect();
    return open.connection;
  }

  /**
   * Fails what is pending with `IC_ERR_CLOSED` and closes the connection. Idempotent; `connect()` or
   * the next call opens a new one. Ignores the signal's name that Nest passes at shutdown.
   */
  override close(): Promise<void> {
    return this.slot.close();
  }

  /** Nest calls this for a client that is a provider. */
  onApplicationShutdown(): Promise<void> {
    return this.close();
  }

  /** Each callback is isolated: one that throws is logged, and the others still run. */
  override on<Event extends keyof InterconnectClientEvents>(
    event: Event,
    callback: InterconnectClientEvents[Event],
  ): void {
    this.notifier.on(event, callback);
  }

  /** The `net.Socket` or `tls.TLSSocket` underneath. Throws Nest's standard error unless connected. */
  override unwrap<T = Connection['socket']>(): T {
    const open = this.slot.current;
    if (open === undefined) throw new Error(NOT_CONNECTED_MESSAGE);
    return open.connection.socket as T;
  }

  /**
   * Cold, as Nest has it: each subscription sends once. Emits one `Buffer` (an empty one when the handler
   * gave nothing) and completes. Unsubscribing before that cancels the message.
   *
   * `data` is bytes or an `InterconnectRecord` of bytes. They are not copied: leave them alone until
   * the outcome is there.
   */
  override send<TResult = Buffer, TInput = Bytes | InterconnectRecord>(
    pattern: unknown,
    data: TInput,
  ): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.send<TResult, TInput>(pattern, data);

    return new Observable<TResult>((subscriber) =>
      this.transmit(this.toPacket(pattern, data), false, {
        succeed: (response) => {
          subscriber.next(this.serializeResponse(response));
          subscriber.complete();
        },
        fail: (error) => subscriber.error(this.serializeError(error)),
      }),
    );
  }

  /**
   * Hot, as Nest has it: sent at once, whether anybody subscribes or not. Completes when all handlers of
   * the event have, and fails when one of them failed; a failure that nobody observes is logged.
   * With `oneWay` it completes when the event is written to the socket.
   */
  override emit<TResult = void, TInput = Bytes | InterconnectRecord>(
    pattern: unknown,
    data: TInput,
  ): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.emit<TResult, TInput>(pattern, data);

    // Replays its end, so that a late subscriber learns it as well.
    const result = new AsyncSubject<TResult>();
    const dispatch = async () => this.dispatchEvent<TResult>(this.toPacket(pattern, data));
    dispatch().then(
      (value) => {
        result.next(value);
        result.complete();
      },
      (error: unknown) => {
        if (!result.observed) this.logUnobserved(pattern, error);
        result.error(error);
      },
    );
    return result.asObservable();
  }

  /** For subclasses and tools that go through Nest's own `send`. */
  protected override publish(
    packet: ReadPacket,
    callback: (packet: WritePacket) => void,
  ): () => void {
    return this.transmit(packet, false, {
      succeed: (response) => callback({ response, isDisposed: true }),
      fail: (err) => callback({ err, isDisposed: true }),
    });
  }

  /** For subclasses and tools that go through Nest's own `emit`. */
  protected override dispatchEvent<T = void>(packet: ReadPacket): Promise<T> {
    return new Promise((resolve, reject) => {
      this.transmit(packet, this.isOneWay, {
        succeed: () => resolve(undefined as T),
        fail: (error) => reject(this.serializeError(error)),
      });
    });
  }

  /** The hook is Nest 12's, for trace ids; 11 has neither it nor `createPacket`. */
  private toPacket(pattern: unknown, data: unknown): ReadPacket {
    return this.onDispatchHook === undefined ? { pattern, data } : this.createPacket(pattern, data);
  }

  /** Sends now, or once connected. The returned function cancels, as long as there is no outcome. */
  private transmit(packet: ReadPacket, oneWay: boolean, caller: Caller): () => void {
    const cancellation = new Cancellation();
    const open = this.slot.current;
    if (open !== undefined) {
      this.exchange(open, packet, oneWay, caller, cancellation);
    } else {
      this.slot.connect().then(
        (opened) => this.exchange(opened, packet, oneWay, caller, cancellation),
        (error: unknown) => {
          if (!cancellation.aborted) caller.fail(toCallError(error));
        },
      );
    }
    return () => cancellation.abort();
  }

  private exchange(
    open: OpenConnection,
    packet: ReadPacket<unknown>,
    oneWay: boolean,
    caller: Caller,
    signal: Cancellation,
  ): void {
    const fail = (error: unknown) => {
      if (!signal.aborted) caller.fail(toCallError(error));
    };
    try {
      const record = isInterconnectRecord(packet.data) ? packet.data : undefined;
      const data = toBytes(packet.pattern, record === undefined ? packet.data : record.data);
      const session = open.session(this.toName(packet.pattern));
      const options = toSendOptions(packet, record, signal);
      if (record?.oneWay ?? oneWay) {
        session.send(data, { ...options, oneWay: true }).then(() => caller.succeed(EMPTY), fail);
      } else {
        session.send(data, options).then((outcome) => settle(caller, outcome), fail);
      }
    } catch (error) {
      fail(error);
    }
  }

  private toName(pattern: unknown): string {
    if (typeof pattern === 'string') return pattern;
    const route: unknown = this.normalizePattern(pattern as MsPattern);
    if (typeof route === 'string') return route;
    if (typeof route === 'boolean' || typeof route === 'bigint') return String(route);
    throw refused(
      `A pattern is a string, a number or an object: this is ${describeType(pattern)}.`,
    );
  }

  private onOpened(connection: Connection): void {
    this._status$.next(InterconnectStatus.CONNECTED);
    this.notifier.notify('connect', connection);
  }

  private onFailed(error: unknown): void {
    this._status$.next(InterconnectStatus.DISCONNECTED);
    this.notifier.notify('error', error);
  }

  private onClosed(error: InterconnectError | undefined): void {
    if (error !== undefined) this.logger.warn(error.message);
    this._status$.next(InterconnectStatus.DISCONNECTED);
    this.notifier.notify('close', error);
  }

  private logUnobserved(pattern: unknown, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.logger.error(`The event ${describePattern(pattern)} failed and nobody looks: ${message}`);
  }
}

/** A subclass's `serializeResponse` may throw: the call's failure, not an unhandled rejection. */
function settle(caller: Caller, outcome: Outcome): void {
  if (!outcome.accepted) return caller.fail(toException(outcome));
  try {
    caller.succeed(outcome.data);
  } catch (error) {
    caller.fail(error);
  }
}

function toBytes(pattern: unknown, data: unknown): Bytes {
  if (isBytes(data)) return data;
  throw refused(
    `Interconnect moves bytes: the data for ${describePattern(pattern)} is ${describeType(data)}. ` +
      'Encode it first, for example with Buffer.from(JSON.stringify(value)).',
  );
}

/** For texts. Not by JSON alone, which throws for a circle or a bigint. */
function describePattern(pattern: unknown): string {
  return typeof pattern === 'string' ? JSON.stringify(pattern) : inspect(pattern, { depth: 2 });
}

function toSendOptions(
  packet: ReadPacket,
  record: InterconnectRecord | undefined,
  signal: AbortSignal,
): SendOptions {
  if (record === undefined && packet.metadata === undefined) return { signal };
  return {
    signal,
    // The call's own entries come last: they are more specific than what a hook gives to every call.
    metadata: { ...packet.metadata, ...record?.metadata },
    ...(record?.timeout !== undefined && { timeout: record.timeout }),
  };
}

function refused(message: string): InterconnectError {
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'no' });
}

function isNil(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
