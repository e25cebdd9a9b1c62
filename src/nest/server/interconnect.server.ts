import { AsyncResource } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import { Server } from '@nestjs/microservices';
import type {
  CustomTransportStrategy,
  MessageHandler,
  MsPattern,
  Transport,
} from '@nestjs/microservices';
import {
  Code,
  inspectShort,
  InterconnectError,
  optionError,
  quote,
  systemClock,
} from '../../endpoint/index.js';
import type {
  Connection,
  DroppedSocket,
  ListenAddress,
  Message,
  Session,
  Stranger,
} from '../../endpoint/index.js';
import { serverCodec, serializersOf } from '../common/codec.js';
import type { ConnectionSource, SourceEffects } from './connection-source.js';
import { allExtrasOf, authorize } from './authorization.js';
import { Dialing } from './dialing.js';
import { readExtras } from './handler-extras.js';
import type { HandlerNames } from './handler-names.js';
import { HandlerRunner, NOTHING } from './handler-runner.js';
import type { HandlerEnvironment, Run } from './handler-runner.js';
import {
  FORBIDDEN_MESSAGE,
  INTERCONNECT_TRANSPORT,
  NO_HANDLER_MESSAGE,
  NOT_LISTENING_MESSAGE,
} from '../common/interconnect.constants.js';
import { isEventSession } from '../common/event-session.js';
import { InterconnectStatus } from '../common/interconnect.events.js';
import type {
  InterconnectServerOptions,
  UnderlyingServer,
} from '../common/interconnect.options.js';
import { InterconnectPeer, InterconnectPeers } from './interconnect.peers.js';
import type { InterconnectServerEvents } from './interconnect.server-events.js';
import { Listening } from './listening.js';
import { checkPattern } from './pattern-check.js';
import { ValueBudgets } from './value-budget.js';
import { lineOf, logError } from '../common/log-lines.js';
import { Notifier } from '../common/notifier.js';
import { shutdownTimeoutOf } from '../common/shutdown-timeout.js';
import { SparingLog } from '../common/sparing-log.js';
import type { Timers } from '../common/timers.js';

/**
 * Serves `@MessagePattern` and `@EventPattern` handlers over Interconnect:
 *
 * ```ts
 * app.connectMicroservice({ strategy: new InterconnectServer({ port: 5000 }) });
 * ```
 *
 * Each pattern has a session. The server looks up the handler when a caller opens the session, and runs it for each message
 * of the session. `HandlerRunner` says what the caller gets.
 */
export class InterconnectServer
  extends Server<InterconnectServerEvents, InterconnectStatus>
  implements CustomTransportStrategy, OnModuleDestroy
{
  /** Nest gives this server the handlers whose decorator names this id or no id. */
  override transportId: Transport | symbol;
  /** The caller of an event learns of a failure, so Nest 12 need not log the error as lost. */
  override readonly propagatesEventHandlerErrors = true;
  /** The peers that are connected now, to call them or to broadcast to them. */
  readonly peers = new InterconnectPeers();
  /** Nest's own servers all log as `Server`. */
  protected override readonly logger = new Logger(InterconnectServer.name);

  /** The server's work runs in the async scope in which the server was made, and not in that of `listen()`. */
  private readonly scope = new AsyncResource('InterconnectServer');
  /**
   * Returns the options. A function holds them, so that no inspection of the server shows keys, tokens and passphrases. A
   * private name would fail where a tool wraps the server in a Proxy.
   */
  private readonly given: () => InterconnectServerOptions;
  private readonly timers: Timers;
  private readonly environment: HandlerEnvironment;
  private readonly log: SparingLog;
  private readonly notifier: Notifier<InterconnectServerEvents>;
  /** The base class's own hook. While it is in place, the application has not set one. */
  private readonly defaultStartHook = this.onProcessingStartHook;
  /** One runner for each pattern that was called, for all connections together. */
  private readonly runners = new Map<string, HandlerRunner>();
  private source: ConnectionSource | undefined;
  private handlerNames: HandlerNames | undefined;
  private closing: Promise<void> = Promise.resolve();

  constructor(options: InterconnectServerOptions = {}) {
    super();
    this.given = () => options;
    checkAuthorize(options.authorize);
    this.timers = options.clock ?? systemClock;
    this.transportId = options.transportId ?? INTERCONNECT_TRANSPORT;
    this.initializeSerializer(serializersOf(options));
    this.initializeDeserializer(serializersOf(options));
    this.log = new SparingLog(this.logger, this.timers);
    this.notifier = new Notifier(this.log);
    this.environment = {
      codec: serverCodec(options),
      log: this.log,
      timers: this.timers,
      budgets: new ValueBudgets(options),
    };
  }

  /**
   * Binds, or with the option `connect` connects. Calls back exactly once: with the error if that fails, or with `undefined`
   * and the bound address, which is then the result of `app.listen()`. May be called again after `close()`.
   */
  async listen(callback: (error?: unknown, address?: ListenAddress) => unknown): Promise<void> {
    let address: ListenAddress | undefined;
    try {
      address = await this.scope.runInAsyncScope(() => this.open());
    } catch (error) {
      callback(error);
      return;
    }
    callback(undefined, address);
  }

  /**
   * Takes no new messages, waits at most `shutdownTimeout` for running handlers, and closes every connection. Clients connect
   * elsewhere meanwhile, or come back, and send messages that no handler has begun again. Never rejects. Without effect if the
   * server does not listen.
   */
  close(): Promise<void> {
    const { source } = this;
    if (source !== undefined) {
      this.source = undefined;
      this.changeStatus(InterconnectStatus.DRAINING);
      this.closing = this.scope.runInAsyncScope(() => this.shut(source));
    }
    return this.closing;
  }

  /**
   * Nest calls this for a server that is a provider, before it closes the port. Otherwise the server of a hybrid application
   * would still serve while the resources of its handlers end.
   */
  onModuleDestroy(): Promise<void> {
    return this.close();
  }

  /** If a callback throws, the error is logged, and the other callbacks still run. */
  override on<Event extends keyof InterconnectServerEvents>(
    event: Event,
    callback: InterconnectServerEvents[Event],
  ): void {
    this.notifier.on(event, callback);
  }

  /**
   * The `net.Server`, the `tls.Server` or the server of `network`; with `connect`, the socket. Throws Nest's standard error
   * unless the server listens.
   */
  override unwrap<T = UnderlyingServer>(): T {
    const underlying = this.source?.underlying;
    if (underlying === undefined) throw new Error(NOT_LISTENING_MESSAGE);
    return underlying as T;
  }

  /**
   * Nest calls this for each handler. Several event handlers of one pattern all run. Any other pair of handlers is refused,
   * because one of the two would never run, without a word from Nest.
   * @throws IC_ERR_OPTION for such a pair, a pattern that no caller can reach, and extras that are out of their range.
   */
  override addHandler(
    pattern: MsPattern,
    callback: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    const route = this.normalizePattern(pattern);
    const methods = () => this.handlerNames?.((other) => this.normalizes(other, route)) ?? [];
    checkPattern(pattern, route, isEventHandler, methods);
    readExtras(route, extras, isEventHandler);
    const existing = this.messageHandlers.get(route);
    if (existing !== undefined && !(isEventHandler && existing.isEventHandler === true)) {
      const text = describeConflict(route, existing, isEventHandler, methods());
      throw new InterconnectError('IC_ERR_OPTION', text);
    }
    super.addHandler(pattern, callback, isEventHandler, extras);
  }

  /** Looks for the pattern itself before Nest reads it as JSON, so that `'true'` and `'1.0'` are found too. */
  override getHandlerByPattern(pattern: string): MessageHandler | null {
    return this.messageHandlers.get(this.resolveRoute(pattern)) ?? null;
  }

  /** @internal `InterconnectLifecycleModule` calls this: it knows all controllers. */
  nameHandlersBy(names: HandlerNames): void {
    this.handlerNames = names;
  }

  private async open(): Promise<ListenAddress | undefined> {
    if (this.source !== undefined) {
      throw new InterconnectError('IC_ERR_LISTEN', 'This server listens already: close it first.');
    }
    shutdownTimeoutOf(this.given());
    const source = this.createSource();
    this.source = source;
    let address: ListenAddress | undefined;
    try {
      address = await source.open();
    } catch (error) {
      if (this.source === source) this.source = undefined;
      throw error;
    }
    if (this.source !== source) {
      throw new InterconnectError('IC_ERR_CLOSED', 'The server was closed while it was binding.');
    }
    if (address !== undefined) {
      this.changeStatus(InterconnectStatus.CONNECTED);
      this.notifier.notify('listening', address);
    }
    return address;
  }

  private createSource(): ConnectionSource {
    const effects: SourceEffects = {
      onConnection: (connection, identity) => this.serve(connection, identity),
      onStatus: (status) => this.changeStatus(status),
      onError: (error) => this.onError(error),
      onWarning: (kind, message) => this.log.warn(kind, message),
      onStranger: (stranger) => this.onStranger(stranger),
      onDrop: (dropped) => this.onDrop(dropped),
    };
    return this.given().connect === undefined
      ? new Listening(this.given(), effects)
      : new Dialing(this.given(), effects, this.timers);
  }

  private changeStatus(status: InterconnectStatus): void {
    this.scope.runInAsyncScope(() => this._status$.next(status));
  }

  private async shut(source: ConnectionSource): Promise<void> {
    try {
      await source.close(shutdownTimeoutOf(this.given()));
    } catch (error) {
      logError(this.logger, error);
    }
    this.log.flush();
    this.changeStatus(InterconnectStatus.DISCONNECTED);
    this.notifier.notify('close');
  }

  /** An error that no caller gets: `authenticate` or a listener of the application threw, or the bound socket failed. */
  private onError(error: unknown): void {
    this.log.error('error', error);
    this.notifier.notify('error', error);
  }

  private onStranger(stranger: Stranger): void {
    const { kind, message } = stranger;
    this.log.warn(kind, `A socket of ${placeOf(stranger)} was ended. ${message}`);
    this.notifier.notify('stranger', stranger);
  }

  private onDrop(dropped: DroppedSocket): void {
    const { reason, message } = dropped;
    this.log.warn(reason, `A socket of ${placeOf(dropped)} was dropped. ${message}`);
    this.notifier.notify('drop', dropped);
  }

  private serve(connection: Connection, identity: string): void {
    const peer = new InterconnectPeer(connection, identity, this.given(), this.log);
    this.peers.add(peer);
    connection.once('close', (error) => {
      this.peers.delete(peer);
      this.notifier.notify('peerGone', peer, error);
    });
    connection.on('session', (session) => this.acceptSession(session, peer));
    connection.on('handlerError', (error) => this.onError(error));
    this.notifier.notify('connection', connection);
    this.notifier.notify('peer', peer);
  }

  private acceptSession(session: Session, peer: InterconnectPeer): void {
    const runner = this.runnerFor(session.name);
    if (runner === undefined) {
      this.refuseSession(session);
      return;
    }
    const { authorize: ask } = this.given();
    if (ask === undefined) return this.serveSession(session, runner, peer);
    const { pattern, handler } = runner;
    const refuse = (decision: unknown): void => this.forbidSession(session, pattern, decision);
    authorize(
      ask,
      { pattern, extras: allExtrasOf(handler), identity: peer.identity, session },
      (decision) => {
        if (decision === true) this.serveSession(session, runner, peer);
        else refuse(decision);
      },
      (error) => {
        refuse(false);
        this.onError(error);
      },
    );
  }

  private serveSession(session: Session, runner: HandlerRunner, peer: InterconnectPeer): void {
    const isEmitted = isEventSession(session);
    session.on('message', (message) => this.receive(runner, message, peer, isEmitted));
    session.on('timeout', ({ waitsForTurn }) => this.onTimeout(runner, waitsForTurn));
    session.accept();
  }

  private onTimeout({ pattern }: HandlerRunner, waitedForTurn: boolean): void {
    if (!waitedForTurn) {
      this.log.notice(
        `late ${pattern}`,
        `The handler of "${pattern}" did not settle a message in time.`,
      );
      return;
    }
    this.log.notice(
      `unbegun ${pattern}`,
      `A message for "${pattern}" was not begun in time, because as many handlers ran as its concurrency allows.`,
    );
  }

  private runnerFor(pattern: string): HandlerRunner | undefined {
    const known = this.runners.get(pattern);
    if (known !== undefined) return known;
    const handler = this.messageHandlers.get(pattern);
    if (handler === undefined) return undefined;
    const runner = new HandlerRunner(pattern, handler, this.environment);
    this.runners.set(pattern, runner);
    return runner;
  }

  private refuseSession(session: Session): void {
    const known = this.resolveRoute(session.name);
    const hint = this.messageHandlers.has(known)
      ? ` It is another spelling of ${quote(known, 256)}, and only that one is served.`
      : '';
    const line = `No handler for the pattern ${quote(session.name, 256)}.${hint}`;
    if (this.log.notice('unknown pattern', line)) {
      const all = [...this.messageHandlers.keys()].join(', ') || 'none';
      this.logger.debug(lineOf(`Known patterns: ${all}.`));
    }
    session.reject(Code.NO_SUCH_SESSION, NO_HANDLER_MESSAGE);
  }

  private forbidSession(session: Session, pattern: string, decision: unknown): void {
    this.log.notice(
      `forbidden ${pattern}`,
      `A peer was not allowed to call the pattern "${pattern}".`,
    );
    if (decision === 'forbidden') session.reject(Code.SESSION_FORBIDDEN, FORBIDDEN_MESSAGE);
    else session.reject(Code.NO_SUCH_SESSION, NO_HANDLER_MESSAGE);
  }

  private receive(
    runner: HandlerRunner,
    message: Message,
    peer: InterconnectPeer,
    isEmitted: boolean,
  ): void {
    if (!runner.hasTurns) this.start(runner, message, peer, isEmitted);
    else runner.admit(message, () => this.start(runner, message, peer, isEmitted));
  }

  private start(
    runner: HandlerRunner,
    message: Message,
    peer: InterconnectPeer,
    isEmitted: boolean,
  ): void {
    const run = runner.begin(message, peer, isEmitted);
    const isObserved =
      this.onProcessingStartHook !== this.defaultStartHook || this.hasProcessingEndHook();
    if (isObserved) this.runBetweenHooks(runner, run);
    else runner.run(run, NOTHING);
  }

  /**
   * The same as a method of the base class of Nest 12, which Nest 11 does not have. The handler runs inside the start hook, which
   * may set up an async scope around it, and the end hook follows exactly once.
   */
  private runBetweenHooks(runner: HandlerRunner, run: Run): void {
    let isBegun = false;
    const process = () =>
      new Promise<void>((resolve) => {
        isBegun = true;
        runner.run(run, () => {
          this.endProcessing(run);
          resolve();
        });
      });
    const start = async () => this.onProcessingStartHook(this.transportId, run.context, process);
    start().catch((error: unknown) => {
      run.settler.rejections.rejectThrown(run.message, error);
      if (!isBegun) run.release();
    });
  }

  private endProcessing(run: Run): void {
    try {
      if (this.hasProcessingEndHook()) this.onProcessingEndHook(this.transportId, run.context);
    } catch (error) {
      // The message is settled, so the hook's mistake must not change its outcome.
      this.log.error('end hook', error);
    }
  }

  /** Undefined until the application sets it, although the base class declares it as always there. */
  private hasProcessingEndHook(): boolean {
    const hook: unknown = this.onProcessingEndHook;
    return hook !== undefined;
  }

  private normalizes(pattern: unknown, route: string): boolean {
    try {
      return this.normalizePattern(pattern as MsPattern) === route;
    } catch {
      return false;
    }
  }

  /** The registered pattern for a session's name. Nest's lookup reads the name as JSON, if it is JSON. */
  private resolveRoute(name: string): string {
    return this.messageHandlers.has(name) ? name : this.getRouteFromPattern(name);
  }
}

function checkAuthorize(hook: unknown): void {
  if (hook === undefined || typeof hook === 'function') return;
  throw optionError(`authorize must be a function, and is ${inspectShort(hook)}.`);
}

function placeOf({ address, port }: Pick<Stranger, 'address' | 'port'>): string {
  if (address === undefined) return 'a Unix socket';
  const host = address.includes(':') ? `[${address}]` : address;
  return port === undefined ? host : `${host}:${port}`;
}

/** Names the methods if `InterconnectLifecycleModule` knows them, because Nest tells a transport neither class nor method. */
function describeConflict(
  pattern: string,
  first: MessageHandler,
  isEvent: boolean,
  names: readonly string[],
): string {
  const decorator = (event: boolean) => (event ? '@EventPattern' : '@MessagePattern');
  const firstName = `${decorator(first.isEventHandler === true)}("${pattern}")`;
  const secondName = `${decorator(isEvent)}("${pattern}")`;
  const methods = names.length === 0 ? '' : ` They are ${names.join(' and ')}.`;
  return (
    `The pattern "${pattern}" has two handlers that exclude each other: first ${firstName}, then ` +
    `${secondName}.${methods} Only several @EventPattern handlers may share a pattern. If the controller appears ` +
    'only once, the module that declares it is imported twice (a dynamic module with two sets of options).'
  );
}
