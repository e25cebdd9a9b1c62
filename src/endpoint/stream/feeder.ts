/**
 * The feeder: moves the items of an application's source into a stream, one at a time, as fast as the stream accepts them.
 * After some items, the feeder gives way to everything else that waits for the event loop.
 */
import { AsyncResource } from 'node:async_hooks';
import { type Bytes, toBuffer } from '../common/bytes.js';
import { InterconnectError } from '../common/errors.js';
import type { FeedTurns } from '../common/feed-turns.js';
import type { ItemSource } from './item-source.js';
import { messageOf } from '../common/words.js';

/** The stream that receives the items. */
export interface FedStream {
  /** Whether the stream accepts an item now. Call `Feeder.wake` each time this becomes true. */
  readonly isReady: boolean;
  give(item: Buffer): void;
  /** The source has no more items. */
  end(): void;
  /** The source failed, or yielded a value that is not bytes. */
  fail(error: unknown): void;
  /** The source has failed, but its items were no longer wanted. */
  report(error: unknown): void;
}

export class Feeder {
  readonly #source: ItemSource<Bytes>;
  readonly #stream: FedStream;
  readonly #turns: FeedTurns;
  /**
   * The source runs in the scope of the caller who gave it, and not in the scope of the event that lets it continue.
   */
  readonly #scope = new AsyncResource('InterconnectStream');
  #state: 'new' | 'feeding' | 'exhausted' | 'stopped' = 'new';
  /** Continues the loop when the stream may be ready, or is stopped. */
  #resume: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(source: ItemSource<Bytes>, stream: FedStream, turns: FeedTurns) {
    this.#source = source;
    this.#stream = stream;
    this.#turns = turns;
  }

  /** Whether the source has been asked for an item. */
  get isTouched(): boolean {
    return this.#state !== 'new';
  }

  /** Call this before the first frame of a request is written: see `ItemSource.begin`. */
  begin(): void {
    this.#scope.runInAsyncScope(() => this.#source.begin((error) => this.#stream.fail(error)));
  }

  /** The stream may accept an item now. */
  wake(): void {
    if (this.#state === 'new') {
      this.#state = 'feeding';
      void this.#scope.runInAsyncScope(() => this.#feed());
    }
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  /** Ends the source, because its items are no longer wanted. Resolves when the source has ended its work. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  /** Whether the stream is still fed, and accepts an item now. */
  #mayAsk(): boolean {
    return this.#isFeeding() && this.#stream.isReady;
  }

  async #feed(): Promise<void> {
    try {
      while (this.#isFeeding()) {
        if (!this.#stream.isReady) {
          await new Promise<void>((resolve) => (this.#resume = resolve));
          continue;
        }
        if (!this.#turns.take()) {
          await this.#turns.next();
          // The stream may have ended since, or lost its room.
          if (!this.#mayAsk()) continue;
        }
        const result = await this.#source.next();
        if (!this.#isFeeding()) return;
        if (result.done === true) {
          this.#state = 'exhausted';
          return this.#stream.end();
        }
        this.#give(result.value);
      }
    } catch (error) {
      // The source has ended by throwing, so its `return` must not be called.
      if (this.#isFeeding()) {
        this.#state = 'exhausted';
        this.#stream.fail(error);
      }
    }
  }

  #give(value: Bytes): void {
    let item: Buffer;
    try {
      item = toBuffer(value, 'An item of a stream');
    } catch (cause) {
      void this.stop();
      // An earlier item may have started a handler.
      const details = { executed: 'maybe', cause } as const;
      const error = new InterconnectError('IC_ERR_OPTION', messageOf(cause), details);
      return this.#stream.fail(error);
    }
    this.#stream.give(item);
  }

  #isFeeding(): boolean {
    return this.#state === 'feeding';
  }

  async #end(): Promise<void> {
    const isOver = this.#state === 'exhausted';
    this.#state = 'stopped';
    this.wake();
    if (isOver) return;
    try {
      await this.#source.end();
    } catch (error) {
      this.#stream.report(error);
    }
  }
}
