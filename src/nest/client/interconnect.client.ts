import { AsyncResource } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import type { ReadPacket, WritePacket } from '@nestjs/microservices';
import { AsyncSubject, Observable } from 'rxjs';
import { createConnection, delaysOf, messageOf, systemClock } from '../../endpoint/index.js';
import type {
  Connection,
  ConnectionStatus,
  InterconnectError,
  Metadata,
  Outage,
  WhenOffline,
} from '../../endpoint/index.js';
import { transmit } from './call.js';
import type { CallSettings } from './call.js';
import { describePattern, refused } from './caller.js';
import type { Call, Caller } from './caller.js';
import { Cancellation } from './cancellation.js';
import { clientCodec, serializersOf } from '../common/codec.js';
import type { CodecOptions } from '../common/codec.js';
import { ConnectionSlot, GivenConnection } from './connection-slot.js';
import type { ConnectionHolder } from './connection-slot.js';
import { asTcpError } from '../common/error-mapping.js';
import { NOT_CONNECTED_MESSAGE } from '../common/interconnect.constants.js';
import { InterconnectStatus } from '../common/interconnect.events.js';
import type { InterconnectClientEvents } from '../common/interconnect.events.js';
import { toConnectOptions } from '../common/interconnect.options.js';
import type { InterconnectClientOptions } from '../common/interconnect.options.js';
import { InterconnectRecord, isInterconnectRecord } from '../common/interconnect.record.js';
import type { InterconnectData } from '../common/interconnect.record.js';
import { lineOf, logError } from '../common/log-lines.js';
import { Notifier } from '../common/notifier.js';
import { shutdownTimeoutOf } from '../common/shutdown-timeout.js';
import { OutageLog } from './outage-log.js';

/** For one `request()`. What a record says as well, these say louder. */
export interface InterconnectRequestOptions {
  /** Milliseconds until an outcome must be there. Default: the client's `messageTimeout`; 0 = no limit. */
  timeout?: number | undefined;
  /** Cancels: the handler's `ctx.signal` aborts. */
  signal?: AbortSignal | undefined;
  /** Travels beside the bytes; the handler reads it with `ctx.getMetadata()`. */
  metadata?: Metadata | undefined;
  /** It does no harm if the handler runs twice. */
  idempotent?: boolean | undefined;
  /** For how long it waits while there is no connection. Default: the client's `whenOffline`. */
  whenOffline?: WhenOffline | undefined;
}

/**
 * Calls the handlers of an `InterconnectServer`:
 *
 * ```ts
 * const result: Buffer = await client.request('replicate', chunk, { timeout: 5_000 });
 * const result: Buffer = await firstValueFrom(client.send('replicate', chunk));
 * await lastValueFrom(client.emit('replicated', id));
 * ```
 *
 * It connects at the first call. Calls wait while there is no connection, as `whenOffline` says. The connection survives its
 * sockets; when it is lost for good, calls that are pending fail at once, with an `InterconnectError` whose `executed` tells
 * whether the handler may have run, and the next call connects anew. A handler's own refusal or failure is an
 * `InterconnectException`.
 *
 * `InterconnectClient<unknown>` is the type for a client with `encoding: 'json'` or a serializer, which takes any value.
 */
export class InterconnectClient<Data = InterconnectData | InterconnectRecord<InterconnectData>>
  extends ClientProxy<InterconnectClientEvents>
  implements OnApplicationBootstrap, OnApplicationShutdown
{
  private readonly logger = new Logger(InterconnectClient.name);
  private readonly notifier = new Notifier<InterconnectClientEvents>(this.logger);
  /** The connection belongs to the client, and not to the request that happens to need it first. */
  private readonly scope = new AsyncResource('InterconnectClient');
  private readonly isOneWay: boolean;
  private readonly connectsOnBootstrap: boolean;
  private readonly metadata: Metadata | undefined;
  private readonly isJson: boolean;
  private readonly settings: CallSettings;
  private readonly holder: ConnectionHolder;

  constructor(options?: InterconnectClientOptions);
  /** @internal */
  constructor(options: InterconnectClientOptions, holder: ConnectionHolder);
  constructor(options: InterconnectClientOptions = {}, holder?: ConnectionHolder) {
    super();
    this.isOneWay = options.oneWay ?? false;
    this.connectsOnBootstrap = options.connectOnBootstrap ?? false;
    this.metadata = options.metadata;
    this.isJson = options.encoding === 'json';
    this.initializeSerializer(serializersOf(options));
    this.initializeDeserializer(serializersOf(options));
    this.settings = {
      codec: clientCodec(options),
      normalize: (pattern) => this.normalizePattern(pattern),
    };
    this.holder = holder ?? this.createSlot(options);
  }

  /** @internal Over a connection that is there already, opened by either side. */
  static over(connection: Connection, options: CodecOptions): InterconnectClient {
    const client = new InterconnectClient(options, new GivenConnection(connection));
    client.changeStatus(statusOf(connection.status));
    connection.on('status', (status) => client.onConnectionStatus(connection, status));
    connection.on('offline', (error) => client.onOffline(error));
    connection.once('close', (error) => {
      client.changeStatus(InterconnectStatus.DISCONNECTED);
      client.notifier.notify('close', error);
    });
    return client;
  }

  /**
   * Whether there is a connection; the last value at once, then every change. Narrowed here and not by the
   * base class's type parameter, with which a strict compiler takes no subclass for a `ClientProxy`.
   */
  override get status(): Observable<InterconnectStatus> {
    return super.status as Observable<InterconnectStatus>;
  }

  /** For how long there has been no socket, and why; undefined while there is one, and while nothing was asked for. */
  get outage(): Outage | undefined {
    return this.holder.current?.connection.outage;
  }

  /**
   * Not needed before a call; it is for failing early. Callers at the same time share one attempt. Rejects with an
   * `InterconnectError` when there is no connection to be had within `whenOffline`. If nothing was sent meanwhile, the
   * attempt is then given up, and the next call tries anew.
   */
  override async connect(): Promise<Connection> {
    const open = await this.holder.connect();
    return open.connection;
  }

  /**
   * Closes the connection when what was sent has been settled, at most `shutdownTimeout` later; what is left then fails with
   * `IC_ERR_CLOSED`. Idempotent; `connect()` or the next call opens a new connection. Ignores the signal's name that Nest
   * passes at shutdown.
   */
  override close(): Promise<void> {
    return this.holder.close();
  }

  /** Nest calls this for a client that is a provider: with `connectOnBootstrap` the application starts connected, or not at all. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.connectsOnBootstrap) await this.connect();
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

  /** The `net.Socket` or `tls.TLSSocket` underneath, the newest; with `network`, its socket. Throws Nest's standard error unless connected. */
  override unwrap<T = Connection['socket']>(): T {
    const connection = this.holder.current?.connection;
    if (connection === undefined || connection.status === 'connecting') {
      throw new Error(NOT_CONNECTED_MESSAGE);
    }
    return connection.socket as T;
  }

  /**
   * Sends at once and resolves with what the handler returned: one `Buffer`, an empty one when it gave nothing.
   * Rejects as `send()` fails. A stream is for `send()`: if the answer is a stream without a value, or with a second one, this
   * rejects with `IC_ERR_UNEXPECTED_STREAM`. At a second value the message is cancelled.
   */
  request<TResult = Buffer>(
    pattern: unknown,
    data: Data,
    options: InterconnectRequestOptions = {},
  ): Promise<TResult> {
    return new Promise<TResult>((resolve, reject) => {
      if (isNil(pattern) || isNil(data)) throw refused('A request needs a pattern and data.');
      const { signal, ...rest } = options;
      const packet = this.toPacket(pattern, withOptions(data, rest));
      this.dispatch({
        packet,
        oneWay: false,
        isEvent: false,
        signal,
        caller: {
          succeed: (response) => resolve(this.toResult<TResult>(response)),
          fail: (error) => reject(this.toError(error)),
        },
      });
    });
  }

  /**
   * Cold, as Nest has it: each subscription sends once. Emits one `Buffer` (an empty one when the handler
   * gave nothing) and completes; of a handler that answers by a stream, each item as it comes, which may be none. Unsubscribing before
   * the end cancels the message. The answer is to be there, or its first item, within the
   * `messageTimeout`, which counts anew from each item. `setTimeout()` of a record limits the whole.
   *
   * `data` is bytes or an `InterconnectRecord` of bytes. They are not copied: leave them alone until
   * the outcome is there. Or it is a stream of them, a `Readable` or an async iterable, for a handler with the extra
   * `{ stream: true }`: it is read at the pace of the handler. A stream that can be read once is refused with `IC_ERR_OPTION` the
   * second time; an iterable that begins anew each time may be subscribed to again.
   */
  override send<TResult = Buffer, TInput = Data>(
    pattern: unknown,
    data: TInput,
  ): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.send<TResult, TInput>(pattern, data);

    return new Observable<TResult>((subscriber) =>
      this.start(this.toPacket(pattern, data), {
        next: (response) => subscriber.next(this.toResult<TResult>(response)),
        complete: () => subscriber.complete(),
        succeed: (response) => {
          subscriber.next(this.toResult<TResult>(response));
          subscriber.complete();
        },
        fail: (error) => subscriber.error(this.toError(error)),
      }),
    );
  }

  /**
   * Hot, as Nest has it: sent at once, whether anybody subscribes or not. Completes when all handlers of
   * the event have, and fails when one of them failed; a failure that nobody observes is logged. What the handlers return is not
   * sent. Emitted messages have a session of their own: their order among those that were sent is not sure.
   * With `oneWay` it completes when the event is written to the socket.
   */
  override emit<TResult = void, TInput = Data>(
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
    const tell = (outcome: WritePacket) => {
      try {
        callback(outcome);
      } catch (error) {
        logError(this.logger, error);
      }
    };
    return this.start(packet, {
      next: (response) => tell({ response }),
      complete: () => tell({ isDisposed: true }),
      succeed: (response) => tell({ response, isDisposed: true }),
      fail: (err) => tell({ err: this.isJson ? asTcpError(err) : err, isDisposed: true }),
    });
  }

  /** For subclasses and tools that go through Nest's own `emit`. */
  protected override dispatchEvent<T = void>(packet: ReadPacket): Promise<T> {
    return new Promise((resolve, reject) => {
      this.dispatch({
        packet,
        oneWay: this.isOneWay,
        isEvent: true,
        signal: undefined,
        caller: {
          succeed: () => resolve(undefined as T),
          fail: (error) => reject(this.toError(error)),
        },
      });
    });
  }

  /** The hook is Nest 12's, for trace ids; 11 has neither it nor `createPacket`. */
  private toPacket(pattern: unknown, data: unknown): ReadPacket {
    return this.onDispatchHook === undefined ? { pattern, data } : this.createPacket(pattern, data);
  }

  /** The returned function cancels, as long as there is no outcome; then nobody is told of one any more. */
  private start(packet: ReadPacket, caller: Caller): () => void {
    const signal = new Cancellation();
    this.dispatch({ packet, oneWay: false, isEvent: false, signal, caller });
    return () => signal.abort();
  }

  private dispatch(asked: Call): void {
    const call = this.metadata === undefined ? asked : withMetadata(asked, this.metadata);
    transmit(this.holder, call, this.settings);
  }

  private toResult<TResult>(response: unknown): TResult {
    const result: TResult = this.serializeResponse(response);
    return result;
  }

  /** A subclass may throw its own error instead of returning it. */
  private toError(error: unknown): unknown {
    try {
      const result: unknown = this.serializeError(this.isJson ? asTcpError(error) : error);
      return result;
    } catch (thrown) {
      return thrown;
    }
  }

  private createSlot(options: InterconnectClientOptions): ConnectionSlot {
    const target = toConnectOptions(options);
    const { minDelay } = delaysOf(options.reconnect);
    const { scope } = this;
    const timers = options.clock ?? systemClock;
    const log = new OutageLog(this.logger, timers);
    const dial = (startDelay: number) => {
      // Where a wrong one can be told.
      shutdownTimeoutOf(options);
      return createConnection({ ...target, startDelay, scope });
    };
    return new ConnectionSlot(
      dial,
      {
        onOpened: (connection) => {
          log.onBack(connection);
          this.onOpened(connection);
        },
        onDetached: (connection, error) => log.onDetached(connection, error),
        onStatus: (connection, status) => {
          if (status === 'open') log.onBack(connection);
          this.onConnectionStatus(connection, status);
        },
        onFailed: (connection, error) => {
          log.onFailed(error);
          this.onFailed(connection, error);
        },
        onOffline: (_connection, error) => {
          log.onOffline(error);
          this.onOffline(error);
        },
        onClosed: (error, wasOpen) => {
          log.onClosed();
          this.onClosed(error, wasOpen);
        },
      },
      { timers, minDelay, shutdownTimeout: () => shutdownTimeoutOf(options) },
    );
  }

  private changeStatus(status: InterconnectStatus): void {
    this.scope.runInAsyncScope(() => this._status$.next(status));
  }

  private onOpened(connection: Connection): void {
    this.changeStatus(InterconnectStatus.CONNECTED);
    this.notifier.notify('connect', connection);
  }

  private onConnectionStatus(connection: Connection, status: ConnectionStatus): void {
    if (status === 'detached') {
      this.changeStatus(InterconnectStatus.RECONNECTING);
      this.notifier.notify('reconnecting', connection);
    } else if (status === 'open') {
      this.changeStatus(InterconnectStatus.CONNECTED);
      this.notifier.notify('reconnect', connection);
    }
  }

  private onFailed({ status }: Connection, error: InterconnectError): void {
    if (status === 'connecting') this.changeStatus(InterconnectStatus.DISCONNECTED);
    this.notifier.notify('error', error);
  }

  private onOffline(error: InterconnectError): void {
    this.changeStatus(InterconnectStatus.OFFLINE);
    this.notifier.notify('offline', error);
  }

  private onClosed(error: InterconnectError | undefined, wasOpen: boolean): void {
    this.changeStatus(InterconnectStatus.DISCONNECTED);
    // One that never was open has told by 'error' why.
    if (!wasOpen) return;
    if (error !== undefined) this.logger.warn(messageOf(error));
    this.notifier.notify('close', error);
  }

  private logUnobserved(pattern: unknown, error: unknown): void {
    const what = `The event ${describePattern(pattern)} failed and nobody looks`;
    this.logger.error(lineOf(`${what}: ${messageOf(error)}`));
  }
}

/** Of a client that is given its connection. */
function statusOf(status: ConnectionStatus): InterconnectStatus {
  if (status === 'closing' || status === 'closed') return InterconnectStatus.DISCONNECTED;
  return status === 'detached' ? InterconnectStatus.RECONNECTING : InterconnectStatus.CONNECTED;
}

/** A hook has put its own into the packet, and they come last: they are more specific. */
function withMetadata(call: Call, metadata: Metadata): Call {
  const { packet } = call;
  return { ...call, packet: { ...packet, metadata: { ...metadata, ...packet.metadata } } };
}

/** The options of a request go the way of a record. */
function withOptions(data: unknown, options: Omit<InterconnectRequestOptions, 'signal'>): unknown {
  const { timeout, metadata, idempotent, whenOffline } = options;
  const isPlain = timeout === undefined && metadata === undefined && idempotent === undefined;
  if (isPlain && whenOffline === undefined) return data;
  if (!isInterconnectRecord(data)) return new InterconnectRecord<unknown>(data, options);
  const { oneWay } = data;
  const lasting = timeout ?? data.timeout;
  const harmless = idempotent ?? data.idempotent;
  return new InterconnectRecord<unknown>(data.data, {
    ...(lasting !== undefined && { timeout: lasting }),
    ...(harmless !== undefined && { idempotent: harmless }),
    ...(oneWay !== undefined && { oneWay }),
    whenOffline: whenOffline ?? data.whenOffline,
    metadata: { ...data.metadata, ...metadata },
  });
}

function isNil(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
