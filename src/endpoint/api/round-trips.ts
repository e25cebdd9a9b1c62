/**
 * The round trips that an application asks for. One PING is on its way at a time, for all who asked before it was sent: who asks
 * meanwhile waits for the next one. A PING upon a PING that is not answered costs the other side's flood budget, and more than
 * that allows would end the connection.
 */
import type { InterconnectError } from '../common/errors.js';

interface Waiter {
  readonly resolve: (milliseconds: number) => void;
  readonly reject: (error: unknown) => void;
}

export class RoundTrips {
  readonly #send: (done: (milliseconds: number) => void) => void;
  /** Those who wait for the PONG that is to come. */
  #asked: readonly Waiter[] = [];
  /** Those who have asked since its PING was sent. */
  #waiting: Waiter[] = [];

  /** `send` sends a PING, and calls back with the time until its PONG; it throws if there is no socket. */
  constructor(send: (done: (milliseconds: number) => void) => void) {
    this.#send = send;
  }

  /** Resolves with milliseconds. */
  ask(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#asked.length === 0) this.#begin();
    });
  }

  /** The socket is gone, and the PONG with it. Who waits for the next PING is told if that cannot be sent either. */
  fail(error: InterconnectError): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const { reject } of asked) reject(error);
    this.#begin();
  }

  #begin(): void {
    const asked = this.#waiting;
    if (asked.length === 0) return;
    this.#waiting = [];
    this.#asked = asked;
    try {
      this.#send((milliseconds) => this.#end(asked, milliseconds));
    } catch (error) {
      this.#asked = [];
      for (const { reject } of asked) reject(error);
    }
  }

  #end(asked: readonly Waiter[], milliseconds: number): void {
    // That of a socket that was lost has failed already.
    if (this.#asked !== asked) return;
    this.#asked = [];
    for (const { resolve } of asked) resolve(milliseconds);
    this.#begin();
  }
}
