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
  Outage,
} from '../../endpoint/index.js';
import type { Call, Caller, CallSettings } from './call.js';
import { describePattern, refused } from './call-errors.js';
import { withMetadata, withOptions } from './call-options.js';
import type { InterconnectRequestOptions } from './call-options.js';
import { Cancellation } from './cancellation.js';
import { clientCodec, serializersOf } from '../common/codec.js';
import type { CodecOptions } from '../common/codec.js';
import { ConnectionSlot, GivenConnection } from './connection-slot.js';
import type { PathSource } from './connection-slot.js';
import { asTcpError } from '../common/error-mapping.js';
import { NOT_CONNECTED_MESSAGE } from '../common/interconnect.constants.js';
import { InterconnectStatus } from '../common/interconnect.events.js';
import type { InterconnectClientEvents } from '../common/interconnect.events.js';
import { toConnectOptions } from '../common/interconnect.options.js';
import type { InterconnectClientOptions } from '../common/interconnect.options.js';
import type { InterconnectData, InterconnectRecord } from '../common/interconnect.record.js';
import { Notifier } from '../common/notifier.js';
import { shutdownTimeoutOf } from '../common/shutdown-timeout.js';
import { SparingLog } from '../common/sparing-log.js';
import { OutageLog } from './outage-log.js';
import { transmit } from './transmit.js';

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
 * sockets. When it is lost for good, pending calls fail at once with an `InterconnectError`, whose `executed` says whether the
 * handler may have run. The next call then connects again. A handler's own refusal or failure is an
 * `InterconnectException`.
 *
 * `InterconnectClient<unknown>` is the type for a client with `encoding: 'json'` or a serializer, which takes any value.
 */
export class InterconnectClient<Data = InterconnectData | InterconnectRecord<InterconnectData>>
  extends ClientProxy<InterconnectClientEvents>
  implements OnApplicationBootstrap, OnApplicationShutdown
{
  private readonly logger = new Logger(InterconnectClient.name);
  private readonly log: SparingLog;
  /** Clients of a server's peers share the log of the server. */
  private readonly ownsLog: boolean;
  private readonly notifier: Notifier<InterconnectClientEvents>;
  /** The connection belongs to the client, and not to the first request that needs it. */
  private readonly scope = new AsyncResource('InterconnectClient');
  private readonly isOneWay: boolean;
  private readonly connectsOnBootstrap: boolean;
  /**
   * Adds the client's metadata to a call. A function holds the metadata, because they may be credentials, and no inspection
   * shows them so. A private name would fail where a tool wraps the client in a Proxy.
   */
  private readonly complete: (call: Call) => Call;
  private readonly isJson: boolean;
  private readonly settings: CallSettings;
  private readonly paths: PathSource;

  constructor(options?: InterconnectClientOptions);
  /** @internal */
  constructor(options: InterconnectClientOptions, paths: PathSource, log?: SparingLog);
  constructor(options: InterconnectClientOptions = {}, paths?: PathSource, log?: SparingLog) {
    super();
    this.ownsLog = log === undefined;
    this.log = log ?? new SparingLog(this.logger, options.clock ?? systemClock);
    this.notifier = new Notifier(this.log);
    this.isOneWay = options.oneWay ?? false;
    this.connectsOnBootstrap = options.connectOnBootstrap ?? false;
    const { metadata } = options;
    this.complete = (call) => (metadata === undefined ? call : withMetadata(call, metadata));
    this.isJson = options.encoding === 'json';
    this.initializeSerializer(serializersOf(options));
    this.initializeDeserializer(serializersOf(options));
    this.settings = {
      codec: clientCodec(options),
      normalize: (pattern) => this.normalizePattern(pattern),
    };
    this.paths = paths ?? this.createSlot(options);
  }

  /** @internal A client over a connection that either side has opened. `log`: that of the server which has many of them. */
  static over(connection: Connection, options: CodecOptions, log?: SparingLog): InterconnectClient {
    const client = new InterconnectClient(options, new GivenConnection(connection), log);
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
   * Whether there is a connection: the current value at once, then every change. The type is narrowed here and not by the
   * base class's type parameter, because a strict compiler would not accept such a class as a `ClientProxy`.
   */
  override get status(): Observable<InterconnectStatus> {
    return super.status as Observable<InterconnectStatus>;
  }

  /** How long there has been no socket, and why; undefined while there is a socket, and before the first call. */
  get outage(): Outage | undefined {
    return this.paths.current?.connection.outage;
  }

  /**
   * Connects before the first call, to fail early. Callers at the same time share one attempt. Rejects with an
   * `InterconnectError` if there is no connection within `whenOffline`. If nothing was sent meanwhile, the client then stops
   * the attempt, and the next call begins another one.
   */
  override async connect(): Promise<Connection> {
    const open = await this.paths.connect();
    return open.connection;
  }

  /**
   * Closes the connection when all calls have their outcome, and at most `shutdownTimeout` later. The calls that are left then
   * fail with `IC_ERR_CLOSED`. Idempotent; `connect()` or the next call opens a new connection. Ignores the name of the signal
   * that Nest passes at shutdown.
   */
  override async close(): Promise<void> {
    await this.paths.close();
    if (this.ownsLog) this.log.flush();
  }

  /** Nest calls this for a client that is a provider. With `connectOnBootstrap` the application does not start without a connection. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.connectsOnBootstrap) await this.connect();
  }

  /** Nest calls this for a client that is a provider. */
  onApplicationShutdown(): Promise<void> {
    return this.close();
  }

  /** If a callback throws, the error is logged, and the other callbacks still run. */
  override on<Event extends keyof InterconnectClientEvents>(
    event: Event,
    callback: InterconnectClientEvents[Event],
  ): void {
    this.notifier.on(event, callback);
  }

  /** The current `net.Socket` or `tls.TLSSocket`, or the socket of `network`. Throws Nest's standard error unless connected. */
  override unwrap<T = Connection['socket']>(): T {
    const connection = this.paths.current?.connection;
    if (connection === undefined || connection.status === 'connecting') {
      throw new Error(NOT_CONNECTED_MESSAGE);
    }
    return connection.socket as T;
  }

  /**
   * Sends at once and resolves with the value that the handler returned: a `Buffer`, which is empty if it returned nothing.
   * Rejects with the errors of `send()`. If the response is a stream without a value, or with a second value, this rejects
   * with `IC_ERR_UNEXPECTED_STREAM`: use `send()` for streams. At a second value the message is cancelled.
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
      this.transmit({
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
   * The Observable is cold, as in Nest: each subscription sends once. It emits one `Buffer` and completes; the `Buffer` is
   * empty if the handler returned nothing. If the handler responds with a stream, it emits each item as it comes; there may
   * be none. Unsubscribing before the end cancels the message. The response, or its first item, must come within the
   * `messageTimeout`, which begins again with each item. `setTimeout()` of a record limits the whole.
   *
   * `data` is bytes or an `InterconnectRecord` of bytes. They are not copied: do not change them before the outcome. `data` may
   * also be a stream of bytes, a `Readable` or an async iterable, for a handler with the extra `{ stream: true }`. It is read at
   * the pace of the handler. A second subscription fails with `IC_ERR_OPTION` if the stream can be read once only.
   */
  override send<TResult = Buffer, TInput = Data>(
    pattern: unknown,
    data: TInput,
  ): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.send<TResult, TInput>(pattern, data);

    return new Observable<TResult>((subscriber) =>
      this.transmitCancellable(this.toPacket(pattern, data), {
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
   * The Observable is hot, as in Nest: the event is sent at once, with or without a subscriber. It completes when all handlers
   * of the event have completed, and fails if one of them failed. A failure without a subscriber is logged. The values of the
   * handlers are not sent. Emitted messages have a session of their own, so they may overtake messages of `send()`, and the
   * reverse. With `oneWay` the Observable completes when the event is written to the socket.
   */
  override emit<TResult = void, TInput = Data>(
    pattern: unknown,
    data: TInput,
  ): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.emit<TResult, TInput>(pattern, data);

    // Replays its end to late subscribers.
    const result = new AsyncSubject<TResult>();
    const emitted = async () => this.dispatchEvent<TResult>(this.toPacket(pattern, data));
    emitted().then(
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

  /** For subclasses and tools that call Nest's own `send`. */
  protected override publish(
    packet: ReadPacket,
    callback: (packet: WritePacket) => void,
  ): () => void {
    const tell = (outcome: WritePacket) => {
      try {
        callback(outcome);
      } catch (error) {
        this.log.error('callback', error);
      }
    };
    return this.transmitCancellable(packet, {
      next: (response) => tell({ response }),
      complete: () => tell({ isDisposed: true }),
      succeed: (response) => tell({ response, isDisposed: true }),
      fail: (err) => tell({ err: this.isJson ? asTcpError(err) : err, isDisposed: true }),
    });
  }

  /** For subclasses and tools that call Nest's own `emit`. */
  protected override dispatchEvent<T = void>(packet: ReadPacket): Promise<T> {
    return new Promise((resolve, reject) => {
      this.transmit({
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

  /** Nest 12 has a hook for trace ids. Nest 11 has neither the hook nor `createPacket`. */
  private toPacket(pattern: unknown, data: unknown): ReadPacket {
    return this.onDispatchHook === undefined ? { pattern, data } : this.createPacket(pattern, data);
  }

  /** Sends a call and returns a function that cancels it. A caller that has cancelled gets no outcome. */
  private transmitCancellable(packet: ReadPacket, caller: Caller): () => void {
    const signal = new Cancellation();
    this.transmit({ packet, oneWay: false, isEvent: false, signal, caller });
    return () => signal.abort();
  }

  /** Sends a call with the client's metadata. */
  private transmit(asked: Call): void {
    transmit(this.paths, this.complete(asked), this.settings);
  }

  private toResult<TResult>(response: unknown): TResult {
    const result: TResult = this.serializeResponse(response);
    return result;
  }

  /** The error as `serializeError` gives it. A subclass may throw the error instead of returning it. */
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
      // Checked here, so that the first call fails with the wrong option.
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
    // For a connection that never was open, an 'error' event has given the reason.
    if (!wasOpen) return;
    if (error !== undefined) this.log.warn('closed', messageOf(error));
    this.notifier.notify('close', error);
  }

  private logUnobserved(pattern: unknown, error: unknown): void {
    const what = `The event ${describePattern(pattern)} failed and nobody looks`;
    this.log.fail('unobserved', `${what}: ${messageOf(error)}`);
  }
}

/** The status of a client over a connection that it did not open. */
function statusOf(status: ConnectionStatus): InterconnectStatus {
  if (status === 'closing' || status === 'closed') return InterconnectStatus.DISCONNECTED;
  return status === 'detached' ? InterconnectStatus.RECONNECTING : InterconnectStatus.CONNECTED;
}

function isNil(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
