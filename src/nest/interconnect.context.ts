import { BaseRpcContext } from '@nestjs/microservices';
import type { Connection, Message, Metadata, Peer, Session } from '../endpoint/index.js';

/** What `getArgs()` gives: the message, the registered pattern, and whether an event handler serves it. */
export type InterconnectContextArgs = [message: Message, pattern: string, isEvent: boolean];

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

  /** The session it came in; its name is the pattern as the caller spelled it. */
  getSession(): Session {
    return this.args[0].session;
  }

  /** The connection to the caller. It may open sessions the other way: `ctx.getConnection().openSession(…)`. */
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
   * Aborts when nobody waits for the result any more: the caller cancelled, the message timed out, or
   * the connection ended. Hand it to what the handler waits for (`fetch`, `fs`, a query).
   */
  getSignal(): AbortSignal {
    return this.args[0].signal;
  }

  /** As `getSignal()`. */
  get signal(): AbortSignal {
    return this.args[0].signal;
  }

  /** Milliseconds left until the message times out, or `undefined` when it never does. */
  getRemaining(): number | undefined {
    return this.args[0].remaining;
  }

  /** The same as an instant of this machine's clock (as `Date.now()`), or `undefined`. */
  getDeadline(): number | undefined {
    const { remaining } = this.args[0];
    return remaining === undefined ? undefined : Date.now() + remaining;
  }

  /** Whether an `@EventPattern` handler serves the message. The decorator decides, not `send` or `emit`. */
  isEvent(): boolean {
    return this.args[2];
  }
}
