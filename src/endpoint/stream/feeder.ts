/** Moves the items of an application's source into a stream, one at a time, as fast as that takes them. */
import { AsyncResource } from 'node:async_hooks';
import { type Bytes, toBuffer } from '../common/bytes.js';
import { InterconnectError } from '../common/errors.js';
import type { ItemSource } from './item-source.js';
import { messageOf } from '../common/words.js';

/** The stream that is fed. */
export interface FedStream {
  /** Whether it takes an item now; `wake` says when that may have become true. */
  readonly isReady: boolean;
  give(item: Buffer): void;
  /** All were given. */
  end(): void;
  /** The source failed, or yielded what is no bytes. */
  fail(error: unknown): void;
  /** The source failed after nobody was interested in it any more. */
  report(error: unknown): void;
}

export class Feeder {
  readonly #source: ItemSource<Bytes>;
  readonly #stream: FedStream;
  /** The source runs in the scope of who gave it, and not of what frees its way: that is another's socket or answer. */
  readonly #scope = new AsyncResource('InterconnectStream');
  #state: 'new' | 'feeding' | 'exhausted' | 'stopped' = 'new';
  /** Continues when the stream may be ready, or is stopped. */
  #resume: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(source: ItemSource<Bytes>, stream: FedStream) {
    this.#source = source;
    this.#stream = stream;
  }

  /** Whether anything has been asked of the source. */
  get isTouched(): boolean {
    return this.#state !== 'new';
  }

  /** Called before anything is written of a request: see `ItemSource.begin`. */
  begin(): void {
    this.#scope.runInAsyncScope(() => this.#source.begin((error) => this.#stream.fail(error)));
  }

  /** The stream may take an item. */
  wake(): void {
    if (this.#state === 'new') {
      this.#state = 'feeding';
      void this.#scope.runInAsyncScope(() => this.#feed());
    }
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  /** Nothing more is wanted: ends the source. Resolves when that has ended its work. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #feed(): Promise<void> {
    try {
      while (this.#isFeeding()) {
        if (!this.#stream.isReady) {
          await new Promise<void>((resolve) => (this.#resume = resolve));
          continue;
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
      // It has ended by throwing, and must not be asked to return.
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
      // What came before it may have started a handler.
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
