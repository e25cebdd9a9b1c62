import { BaseRpcContext } from '@nestjs/microservices';
import type { Connection, Message, Metadata, Peer, Session } from '../../endpoint/index.js';
import type { InterconnectClient } from '../client/interconnect.client.js';
import type { InterconnectPeer } from './interconnect.peers.js';

/** The time that the handler has of its own: what the extra `timeout` of its pattern gives it. */
export interface InterconnectHandlerLimit {
  readonly signal: AbortSignal;
  readonly remaining: number;
}

/**
 * What `getArgs()` gives: the message, the registered pattern, whether an event handler serves it, who sent
 * it, and the handler's own limit, if it has one.
 */
export type InterconnectContextArgs = [
  message: Message,
  pattern: string,
  isEvent: boolean,
  peer: InterconnectPeer,
  limit: InterconnectHandlerLimit | undefined,
];

/**
 * What a handler gets from `@Ctx()`, and guards, pipes, interceptors and filters from
 * `host.switchToRpc().getContext()`. A fresh one for every message; nobody changes it afterwards.
 */
export class InterconnectContext extends BaseRpcContext<InterconnectContextArgs> {
  /** The registered pattern that serves the message, also when the caller spelled it in another way. */
  getPattern(): string {
    return this.args[1];
  }

  /**
   * The message itself. A handler may settle it early (`accept`, `respond`, `reject`); what it returns
   * or throws afterwards is not sent.
   */
  getMessage(): Message {
    return this.args[0];
  }

  /**
   * The request item by item, as bytes: `for await (const item of ctx.getBody())`, once. With the extra
   * `{ stream: true }`, `@Payload()` is the same, decoded where the server decodes. An ordinary message is one item.
   */
  getBody(): AsyncIterable<Buffer> {
    return this.args[0].body;
  }

  /** The session it came in; its name is the pattern as the caller spelled it. */
  getSession(): Session {
    return this.args[0].session;
  }

  /**
   * Calls the handlers of who sent this message: `ctx.getClient().send('progress', bytes)`. It has them if it is
   * an `InterconnectServer` that connects. The same client for every message of a connection.
   */
  getClient(): InterconnectClient {
    return this.args[3].client;
  }

  /** Who sent it, as `server.peers` has it. May be kept, to call it later. */
  getCaller(): InterconnectPeer {
    return this.args[3];
  }

  /** The connection to the caller. `getClient()` is the easier way to send something back over it. */
  getConnection(): Connection {
    return this.args[0].session.connection;
  }

  /** Who calls: address, and under TLS whether its certificate was verified and what it says. */
  getPeer(): Peer {
    return this.args[0].session.connection.peer;
  }

  /** The entries the caller sent beside the bytes. No prototype, so a name like `constructor` is just a name. */
  getMetadata(): Metadata {
    return this.args[0].metadata;
  }

  /**
   * Aborts when nobody waits for the result any more: the caller cancelled, the message timed out, the
   * connection ended, or the handler's own `timeout` is over. Hand it to what the handler waits for
   * (`fetch`, `fs`, a query).
   */
  getSignal(): AbortSignal {
    return (this.args[4] ?? this.args[0]).signal;
  }

  /** As `getSignal()`. */
  get signal(): AbortSignal {
    return this.getSignal();
  }

  /**
   * Milliseconds left until the message or the handler times out, or `undefined` when neither does: the message not
   * any more once its answer, a stream, has begun.
   */
  getRemaining(): number | undefined {
    return (this.args[4] ?? this.args[0]).remaining;
  }

  /** The same as an instant of this machine's clock (as `Date.now()`), or `undefined`. */
  getDeadline(): number | undefined {
    const remaining = this.getRemaining();
    // That of the application, which may be faked: the application compares it with that.
    // eslint-disable-next-line no-restricted-properties
    return remaining === undefined ? undefined : Date.now() + remaining;
  }

  /** Whether an `@EventPattern` handler serves the message. The decorator decides, not `send` or `emit`. */
  isEvent(): boolean {
    return this.args[2];
  }
}
