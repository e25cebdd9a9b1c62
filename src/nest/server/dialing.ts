import {
  Backoff,
  delaysOf,
  HEALTHY,
  InterconnectError,
  isInterconnectError,
} from '../../endpoint/index.js';
import type { Connection } from '../../endpoint/index.js';
import type { ConnectionSource, SourceEffects } from './connection-source.js';
import { InterconnectClient } from '../client/interconnect.client.js';
import { InterconnectStatus } from '../common/interconnect.events.js';
import type {
  ConnectingClient,
  InterconnectServerConnectOptions,
  InterconnectServerOptions,
} from '../common/interconnect.options.js';
import type { Timers } from '../common/timers.js';

/** The options of a listener, which have no meaning for a server that connects. */
const LISTENERS_OWN = [
  'host',
  'port',
  'path',
  'network',
  'tlsOptions',
  'authenticate',
  'backlog',
  'mode',
  'maxConnections',
  'perAddress',
  'maxAuthenticating',
  'proxyProtocol',
] as const;

/**
 * The one connection that a server opens itself, and opens again each time it has ended. The core replaces lost sockets.
 * This class replaces connections that have ended, because the other side closed them or refuses them for now.
 */
export class Dialing implements ConnectionSource {
  private readonly client: ConnectingClient;
  private readonly effects: SourceEffects;
  private readonly timers: Timers;
  private readonly backoff: Backoff;
  private readonly waits: boolean;
  /** The client belongs to this server: no other code calls over it or closes it. */
  private readonly isOwn: boolean;
  private isOpen = false;
  private connection: Connection | undefined;
  private connectedAt = 0;
  private stopPause: (() => void) | undefined;

  constructor(options: InterconnectServerOptions, effects: SourceEffects, timers: Timers) {
    refuseListenersOptions(options);
    const { connect = {} } = options;
    this.isOwn = !isClient(connect);
    const ownOptions = isClient(connect) ? {} : connect;
    this.client = isClient(connect) ? connect : createClient(connect, options.shutdownTimeout);
    this.backoff = new Backoff(delaysOf(ownOptions.reconnect), timers);
    this.waits = ownOptions.waitForConnection ?? true;
    this.effects = effects;
    this.timers = timers;
    this.client.on('connect', (connection) => this.serve(connection));
  }

  get underlying(): unknown {
    return this.connection?.socket;
  }

  async open(): Promise<undefined> {
    this.isOpen = true;
    if (!this.waits) {
      this.dialLater(0);
      return undefined;
    }
    try {
      // A client of the application may be connected already, so that its event has passed.
      this.serve(await this.client.connect());
      return undefined;
    } catch (error) {
      this.isOpen = false;
      if (this.isOwn) await this.client.close();
      throw error;
    }
  }

  async close(timeout: number): Promise<void> {
    this.isOpen = false;
    this.stopPause?.();
    const { connection } = this;
    if (timeout > 0) await connection?.drain({ timeout });
    else await connection?.close();
    await this.client.close();
  }

  private serve(connection: Connection): void {
    if (!this.isOpen || this.connection === connection) return;
    this.connection = connection;
    this.connectedAt = this.timers.now();
    connection.on('status', (status) => {
      if (status === 'detached') this.effects.onStatus(InterconnectStatus.RECONNECTING);
      if (status === 'open') this.effects.onStatus(InterconnectStatus.CONNECTED);
    });
    connection.once('close', () => this.ended(connection));
    this.effects.onStatus(InterconnectStatus.CONNECTED);
    this.effects.onConnection(connection, '');
  }

  private ended(connection: Connection): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    if (!this.isOpen) return;
    this.effects.onStatus(InterconnectStatus.RECONNECTING);
    const hasLasted = this.timers.now() - this.connectedAt >= HEALTHY;
    if (hasLasted || connection.wasOfUse) this.backoff.reset();
    this.dialLater(this.backoff.next());
  }

  private failed(error: unknown): void {
    if (!this.isOpen) return;
    // Further attempts cannot correct an option.
    if (isInterconnectError(error) && error.code === 'IC_ERR_OPTION') {
      return this.effects.onError(error);
    }
    // The client has logged the reason.
    this.dialLater(this.backoff.next());
  }

  private dialLater(delay: number): void {
    this.stopPause = this.timers.setAlarm(delay, () => {
      this.client.connect().then(
        (connection) => this.serve(connection),
        (error: unknown) => this.failed(error),
      );
    });
  }
}

/** The client only connects. The server's other options say how messages are encoded. */
function createClient(
  { waitForConnection = true, ...connect }: InterconnectServerConnectOptions,
  shutdownTimeout: number | undefined,
): InterconnectClient {
  const { whenOffline = waitForConnection ? undefined : 'wait' } = connect;
  return new InterconnectClient({ ...connect, whenOffline, shutdownTimeout });
}

function isClient(value: object): value is ConnectingClient {
  return 'connect' in value && typeof value.connect === 'function';
}

function refuseListenersOptions(options: InterconnectServerOptions): void {
  const stray = LISTENERS_OWN.filter((name) => options[name] !== undefined);
  if (stray.length === 0) return;
  throw new InterconnectError(
    'IC_ERR_OPTION',
    `A server that connects does not listen, so these options have no meaning beside connect: ${stray.join(', ')}. Put them into connect.`,
  );
}
