/** The PINGs of this side that have no answer yet, by token. */
import { nextId } from '../../wire/index.js';

export class Pings {
  readonly #asked = new Map<
    number,
    { readonly at: number; readonly done: ((milliseconds: number) => void) | undefined }
  >();
  /** Tokens of the PINGs that only keep the connection alive, the oldest first. */
  readonly #keepalives: number[] = [];
  #token = 0;

  /** Returns the token of a new PING. `done` is called at its PONG, with the time of the round trip. */
  ask(done: ((milliseconds: number) => void) | undefined, now: number): number {
    this.#token = nextId(this.#token);
    this.#asked.set(this.#token, { at: now, done });
    if (done === undefined && this.#keepalives.push(this.#token) > MAX_KEEPALIVES) {
      // A peer that never answers must not make this side remember every PING.
      this.#asked.delete(this.#keepalives.shift() ?? 0);
    }
    return this.#token;
  }

  /**
   * A PONG has arrived. The peer answers only the newest of several PINGs, so that a PONG also answers all earlier PINGs.
   * Returns false if no PING has this token.
   */
  answer(token: number, now: number): boolean {
    if (!this.#asked.has(token)) return false;
    for (const [asked, { at, done }] of this.#asked) {
      this.#asked.delete(asked);
      done?.(now - at);
      if (asked === token) break;
    }
    return true;
  }

  clear(): void {
    this.#asked.clear();
    this.#keepalives.length = 0;
  }
}

const MAX_KEEPALIVES = 100;
