import { BaseRpcContext } from '@nestjs/microservices';
import type { Connection, Message, Metadata, Peer, Session } from '../../endpoint/index.js';
import type { InterconnectClient } from '../client/interconnect.client.js';
import type { InterconnectPeer } from './interconnect.peers.js';

/** The handler's own time limit: the extra `timeout` of its pattern. */
export interface InterconnectHandlerLimit {
  readonly signal: AbortSignal;
  readonly remaining: number;
}

/**
 * The value of `getArgs()`: the message, the registered pattern, whether an event handler serves the message, its sender, and
 * the handler's own limit, if there is one.
 */
export type InterconnectContextArgs = [
  message: Message,
  pattern: string,
  isEvent: boolean,
  peer: InterconnectPeer,
  limit: InterconnectHandlerLimit | undefined,
];

/**
 * The context of one message. A handler gets it from `@Ctx()`; guards, pipes, interceptors and filters get it from
 * `host.switchToRpc().getContext()`. Each message has its own, which does not change.
 */
export class InterconnectContext extends BaseRpcContext<InterconnectContextArgs> {
  /** The registered pattern that serves the message. */
  getPattern(): string {
    return this.args[1];
  }

  /**
   * The message itself. A handler may settle it early (`accept`, `respond`, `reject`). Its result or error is then not
   * sent.
   */
  getMessage(): Message {
    return this.args[0];
  }

  /**
   * The request item by item, as bytes: `for await (const item of ctx.getBody())`. It can be read once. With the extra
   * `{ stream: true }`, `@Payload()` has the same items, decoded by the server's codec. An ordinary message is one item.
   */
  getBody(): AsyncIterable<Buffer> {
    return this.args[0].body;
  }

  /** The session of the message. Its name is the pattern. */
  getSession(): Session {
    return this.args[0].session;
  }

  /**
   * A client that calls the handlers of the sender: `ctx.getClient().send('progress', bytes)`. The sender has handlers if it is
   * an `InterconnectServer` that connects. All messages of a connection have the same client.
   */
  getClient(): InterconnectClient {
    return this.args[3].client;
  }

  /** The sender, as in `server.peers`. May be kept, to call the sender later. */
  getCaller(): InterconnectPeer {
    return this.args[3];
  }

  /**
   * Who the sender is: the principal that `authenticate` gave to `handshake.accept`, or the name of a verified certificate, or
   * empty. For guards.
   */
  getIdentity(): string {
    return this.args[3].identity;
  }

  /** The connection to the caller. `getClient()` is the easier way to call back over it. */
  getConnection(): Connection {
    return this.args[0].session.connection;
  }

  /** The caller's address, and under TLS its certificate and whether that was verified. */
  getPeer(): Peer {
    return this.args[0].session.connection.peer;
  }

  /** The entries that the caller sent beside the bytes. The object has no prototype, so `constructor` is a name as any other. */
  getMetadata(): Metadata {
    return this.args[0].metadata;
  }

  /**
   * Aborts when the result is no longer wanted: the caller cancelled, the message timed out, the connection ended, or the
   * handler's own `timeout` is over. Pass the signal to the operations of the handler (`fetch`, `fs`, a query).
   */
  getSignal(): AbortSignal {
    return (this.args[4] ?? this.args[0]).signal;
  }

  /** As `getSignal()`. */
  get signal(): AbortSignal {
    return this.getSignal();
  }

  /**
   * Milliseconds left until the message or the handler times out, or `undefined` if neither can. A message cannot time out any
   * more when its response is a stream that has begun.
   */
  getRemaining(): number | undefined {
    return (this.args[4] ?? this.args[0]).remaining;
  }

  /** The same as an instant of this machine's clock (as `Date.now()`), or `undefined`. */
  getDeadline(): number | undefined {
    const remaining = this.getRemaining();
    // The application's clock, which may be a fake one, because the application compares the result with that clock.
    // eslint-disable-next-line no-restricted-properties
    return remaining === undefined ? undefined : Date.now() + remaining;
  }

  /** Whether an `@EventPattern` handler serves the message. This depends on the decorator, not on `send` or `emit`. */
  isEvent(): boolean {
    return this.args[2];
  }
}
