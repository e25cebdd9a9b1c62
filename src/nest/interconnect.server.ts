import { Logger } from '@nestjs/common';
import { Server } from '@nestjs/microservices';
import type {
  CustomTransportStrategy,
  MessageHandler,
  MsPattern,
  Transport,
} from '@nestjs/microservices';
import { Code, InterconnectError, Listener } from '../endpoint/index.js';
import type { Connection, ListenAddress, Message, Session } from '../endpoint/index.js';
import { HandlerRunner } from './handler-runner.js';
import {
  INTERCONNECT_TRANSPORT,
  NO_HANDLER_MESSAGE,
  NOT_LISTENING_MESSAGE,
} from './interconnect.constants.js';
import { InterconnectContext } from './interconnect.context.js';
import { InterconnectStatus } from './interconnect.events.js';
import type { InterconnectServerEvents } from './interconnect.events.js';
import { toListenerOptions } from './interconnect.options.js';
import type { InterconnectServerOptions, UnderlyingServer } from './interconnect.options.js';
import { Notifier } from './notifier.js';

const NOTHING = () => {};

/**
 * Serves `@MessagePattern` and `@EventPattern` handlers over Interconnect:
 *
 * ```ts
 * app.connectMicroservice({ strategy: new InterconnectServer({ port: 5000 }) });
 * ```
 *
 * A pattern is a session: its handler is looked up once, when a caller opens the session, and then
 * runs for each of the session's messages. What becomes of its result is in `HandlerRunner`.
 */
export class InterconnectServer
  extends Server<InterconnectServerEvents, InterconnectStatus>
  implements CustomTransportStrategy
{
  /** Nest binds to this server the handlers whose decorator names this id, or none. */
  override transportId: Transport | symbol;
  /** An event's caller learns that it failed, so Nest need not report it as lost. Read by Nest 12. */
  override readonly propagatesEventHandlerErrors = true;
  /** Nest's own servers all log as `Server`. */
  protected override readonly logger = new Logger(InterconnectServer.name);

  private readonly options: InterconnectServerOptions;
  private readonly notifier = new Notifier<InterconnectServerEvents>(this.logger);
  /** What the base class starts with. While it is still in place, no one wants to hear of messages. */
  private readonly defaultStartHook = this.onProcessingStartHook;
  private listener: Listener | undefined;
  private tlsErrorLoggedAt = 0;
  private closing: Promise<void> = Promise.resolve();

  constructor(options: InterconnectServerOptions = {}) {
    super();
    this.options = options;
    this.transportId = options.transportId ?? INTERCONNECT_TRANSPORT;
  }

  /**
   * Binds, and calls back exactly once: with the reason for which it cannot be done, whatever that is, or
   * with `undefined` and the bound address, which `app.listen()` then resolves with. May be called
   * again after `close()`.
   */
  async listen(callback: (error?: unknown, address?: ListenAddress) => unknown): Promise<void> {
    let address: ListenAddress;
    try {
      address = await this.bind();
    } catch (error) {
      callback(error);
      return;
    }
    callback(undefined, address);
  }

  /** Closes the listener and every connection. Never rejects; without effect when nothing listens. */
  close(): Promise<void> {
    const { listener } = this;
    if (listener !== undefined) {
      this.listener = undefined;
      this.closing = this.unbind(listener);
    }
    return this.closing;
  }

  /** Each callback is isolated: one that throws is logged, and the others still run. */
  override on<Event extends keyof InterconnectServerEvents>(
    event: Event,
    callback: InterconnectServerEvents[Event],
  ): void {
    this.notifier.on(event, callback);
  }

  /** The `net.Server` or `tls.Server` underneath. Throws Nest's standard error unless listening. */
  override unwrap<T = UnderlyingServer>(): T {
    const server = this.listener?.server;
    if (server === undefined) throw new Error(NOT_LISTENING_MESSAGE);
    return server as T;
  }

  /**
   * Called by Nest for each handler it finds. Several event handlers on one pattern all run; any other
   * pair is refused, as one of the two would never run and Nest says nothing about it.
   */
  override addHandler(
    pattern: MsPattern,
    callback: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    const route = this.normalizePattern(pattern);
    const existing = this.messageHandlers.get(route);
    if (existing !== undefined && !(isEventHandler && existing.isEventHandler === true)) {
      throw new Error(describeConflict(route, existing, isEventHandler));
    }
    super.addHandler(pattern, callback, isEventHandler, extras);
  }

  /** Takes the pattern as it is before reading it as JSON, so that `'true'` and `'1.0'` are found too. */
  override getHandlerByPattern(pattern: string): MessageHandler | null {
    return this.messageHandlers.get(this.resolveRoute(pattern)) ?? null;
  }

  private async bind(): Promise<ListenAddress> {
    if (this.listener !== undefined) {
      throw new InterconnectError('IC_ERR_LISTEN', 'This server listens already: close it first.');
    }
    const listener = new Listener(toListenerOptions(this.options));
    listener.on('connection', (connection) => this.serve(connection));
    listener.on('handlerError', (error) => this.onError(error));
    listener.on('tlsError', (error, address) => this.onTlsError(error, address));
    this.listener = listener;
    let address: ListenAddress;
    try {
      address = await listener.listen();
    } catch (error) {
      if (this.listener === listener) this.listener = undefined;
      throw error;
    }
    if (this.listener !== listener) {
      throw new InterconnectError('IC_ERR_CLOSED', 'The server was closed while it was binding.');
    }
    this._status$.next(InterconnectStatus.CONNECTED);
    this.notifier.notify('listening', address);
    return address;
  }

  private async unbind(listener: Listener): Promise<void> {
    try {
      await listener.close();
    } catch (error) {
      this.logger.error(error);
    }
    this._status$.next(InterconnectStatus.DISCONNECTED);
    this.notifier.notify('close');
  }

  /** What nobody waits for: `authenticate` or a listener of the application threw, or the bound socket failed. */
  private onError(error: unknown): void {
    this.logger.error(error);
    this.notifier.notify('error', error);
  }

  /** At most one line a second: anybody who reaches the port can bring it about. */
  private onTlsError(error: Error, address = 'an unknown address'): void {
    const now = Date.now();
    if (now - this.tlsErrorLoggedAt < 1000) return;
    this.tlsErrorLoggedAt = now;
    this.logger.warn(`The TLS handshake with ${address} failed: ${error.message}`);
  }

  private serve(connection: Connection): void {
    connection.on('session', (session) => this.acceptSession(session));
    connection.on('handlerError', (error) => this.onError(error));
    this.notifier.notify('connection', connection);
  }

  private acceptSession(session: Session): void {
    const pattern = this.resolveRoute(session.name);
    const handler = this.messageHandlers.get(pattern);
    if (handler === undefined) {
      this.refuseSession(session);
      return;
    }
    const runner = new HandlerRunner(pattern, handler, this.logger);
    session.on('message', (message) => this.run(runner, message));
    session.on('timeout', () =>
      this.logger.warn(`The handler of "${pattern}" did not settle a message in time.`),
    );
    session.accept();
  }

  private refuseSession(session: Session): void {
    // Quoted and cut, as the peer chose this text and might forge lines of the log with it.
    this.logger.warn(`No handler for the pattern ${JSON.stringify(session.name.slice(0, 256))}.`);
    this.logger.debug(`Known patterns: ${[...this.messageHandlers.keys()].join(', ') || 'none'}.`);
    session.reject(Code.NO_SUCH_SESSION, NO_HANDLER_MESSAGE);
  }

  private run(runner: HandlerRunner, message: Message): void {
    const context = new InterconnectContext([message, runner.pattern, runner.isEvent]);
    const isObserved =
      this.onProcessingStartHook !== this.defaultStartHook || this.hasProcessingEndHook();
    if (isObserved) this.runBetweenHooks(runner, message, context);
    else runner.run(message, context, NOTHING);
  }

  /**
   * As the base class of Nest 12 does it (that of 11 has no method for it): the handler runs inside
   * the start hook, which may set up an async scope around it, and the end hook follows exactly once.
   */
  private runBetweenHooks(
    runner: HandlerRunner,
    message: Message,
    context: InterconnectContext,
  ): void {
    const process = () =>
      new Promise<void>((resolve) => {
        runner.run(message, context, () => {
          this.endProcessing(context);
          resolve();
        });
      });
    const start = async () => this.onProcessingStartHook(this.transportId, context, process);
    start().catch((error: unknown) => runner.fail(message, error));
  }

  private endProcessing(context: InterconnectContext): void {
    try {
      if (this.hasProcessingEndHook()) this.onProcessingEndHook(this.transportId, context);
    } catch (error) {
      // The message is settled: an observer's mistake must not become anyone's outcome.
      this.logger.error(error);
    }
  }

  /** The base class declares the hook as always there; it is not until someone sets it. */
  private hasProcessingEndHook(): boolean {
    const hook: unknown = this.onProcessingEndHook;
    return hook !== undefined;
  }

  /**
   * The registered pattern that a session's name stands for. The other side chose the name, and Nest's
   * lookup reads it as JSON: one on which that fails, however deep, stands for itself.
   */
  private resolveRoute(name: string): string {
    if (this.messageHandlers.has(name)) return name;
    try {
      return this.getRouteFromPattern(name);
    } catch {
      return name;
    }
  }
}

/** Nest tells a transport neither class nor method, so the pattern has to lead the reader to both. */
function describeConflict(pattern: string, first: MessageHandler, isEvent: boolean): string {
  const decorator = (event: boolean) => (event ? '@EventPattern' : '@MessagePattern');
  const firstName = `${decorator(first.isEventHandler === true)}("${pattern}")`;
  const secondName = `${decorator(isEvent)}("${pattern}")`;
  return (
    `The pattern "${pattern}" has two handlers that exclude each other: first ${firstName}, then ` +
    `${secondName}. Only several @EventPattern handlers may share a pattern. If the controller appears ` +
    'only once, the module that declares it is imported twice (a dynamic module with two sets of options).'
  );
}
