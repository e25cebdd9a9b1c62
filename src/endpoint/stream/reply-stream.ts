/** A streamed response: feeds a handler's items to the connection, and settles the message after the last one. */
import { type IncomingMessage, type ItemSender } from '../../protocol/index.js';
import { Code, FrameType, type Meta, EMPTY } from '../../wire/index.js';
import { InterconnectError } from '../common/errors.js';
import type { FeedTurns } from '../common/feed-turns.js';
import { type FedStream, Feeder } from './feeder.js';
import type { Bytes } from '../common/bytes.js';
import type { ItemSource } from './item-source.js';
import { whenAborted } from '../common/abort.js';

/** The message of a streamed response: the parts that the response needs. */
export interface RepliedMessage {
  readonly incoming: IncomingMessage;
  readonly peerMaxMessageSize: number;
  /** The turns of the endpoint, by which the source gives way to the event loop. */
  readonly turns: FeedTurns;
  settle(type: number, meta: Meta, payload: Buffer): void;
  report(error: unknown): void;
  /** Returns the rejection of the message when the source has failed. */
  rejectionOf(error: unknown): { readonly meta: Meta; readonly payload: Buffer };
}

export class ReplyStream implements FedStream {
  /** Resolves when the source has ended and the message is settled, for any reason. */
  readonly done: Promise<void>;
  readonly #message: RepliedMessage;
  /** The fields of the ACCEPT that follows the last item. */
  readonly #meta: Meta;
  readonly #feeder: Feeder;
  readonly #sender: ItemSender | undefined;
  readonly #unlisten: (() => void) | undefined;
  #isOver = false;
  #resolve: () => void = () => undefined;

  constructor(
    message: RepliedMessage,
    source: ItemSource<Bytes>,
    meta: Meta,
    signal?: AbortSignal,
  ) {
    this.#message = message;
    this.#meta = meta;
    this.#feeder = new Feeder(source, this, message.turns);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
    const onAbort = (): void => void this.#abort(signal?.reason);
    this.#unlisten = signal && whenAborted(signal, onAbort);
    const { oneWay, state, abortReason } = message.incoming;
    // The response has no reader: the message is one-way, settled or aborted.
    if (oneWay || state !== 'RUNNING' || abortReason !== undefined) void this.stop();
    else this.#sender = message.incoming.reply({ onReady: () => this.#feeder.wake() });
    if (signal?.aborted === true) onAbort();
    else if (this.isReady) this.#feeder.wake();
  }

  get isReady(): boolean {
    return this.#sender?.isReady === true;
  }

  give(item: Buffer): void {
    if (this.#message.incoming.giveItem(item)) return;
    const limit = this.#message.peerMaxMessageSize;
    const text =
      item.length > limit
        ? `An item of ${item.length} bytes exceeds the ${limit} bytes that the other side takes. ` +
          `Respond with smaller items, or raise maxMessageSize there.`
        : 'The other side takes no items: its item credit is 0. Respond with bytes.';
    this.#message.report(new InterconnectError('IC_ERR_TOO_LARGE', text));
    void this.stop();
  }

  end(): void {
    this.#settle(FrameType.ACCEPT, this.#meta);
    this.#finish();
  }

  fail(error: unknown): void {
    this.#reject(error);
    this.#finish();
  }

  report(error: unknown): void {
    this.#message.report(error);
  }

  /**
   * Stops the response, because the other items are not wanted. When the source has ended its work, the message is
   * settled, and its place is free.
   */
  async stop(): Promise<void> {
    await this.#feeder.stop();
    this.#settle(FrameType.REJECT, STOPPED);
    this.#finish();
  }

  /** Rejects the message now, and ends the source. */
  async #abort(reason: unknown): Promise<void> {
    this.#reject(reason);
    await this.#feeder.stop();
    this.#finish();
  }

  #reject(error: unknown): void {
    if (this.#isOver) return;
    const { meta, payload } = this.#message.rejectionOf(error);
    this.#settle(FrameType.REJECT, meta, payload);
  }

  #settle(type: number, meta: Meta, payload: Buffer = EMPTY): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#message.settle(type, meta, payload);
  }

  #finish(): void {
    this.#unlisten?.();
    this.#resolve();
  }
}

const STOPPED: Meta = { code: Code.CANCELLED_RUNNING, text: 'The response was stopped.' };
