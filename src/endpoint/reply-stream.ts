/** An answer in a stream: feeds a handler's items to the connection, and settles the message after the last. */
import type { IncomingMessage, ItemSender } from '../protocol/index.js';
import { Code, FrameType, type Meta } from '../wire/index.js';
import { InterconnectError } from './errors.js';
import { type FedStream, Feeder } from './feeder.js';
import type { Items } from './items.js';

/** What it needs of its message. */
export interface RepliedMessage {
  readonly incoming: IncomingMessage;
  readonly peerMaxMessageSize: number;
  settle(type: number, meta: Meta): void;
  report(error: unknown): void;
}

export class ReplyStream implements FedStream {
  /** Resolves when the source has ended and the message is settled, whoever brought that about. */
  readonly done: Promise<void>;
  readonly #message: RepliedMessage;
  /** What stands on the acceptance. */
  readonly #meta: Meta;
  readonly #feeder: Feeder;
  readonly #sender: ItemSender | undefined;
  #isOver = false;
  #resolve: () => void = () => undefined;

  constructor(message: RepliedMessage, items: Items, meta: Meta) {
    this.#message = message;
    this.#meta = meta;
    this.#feeder = new Feeder(items, this);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
    const { oneWay, state, abortReason } = message.incoming;
    // Nobody reads it, or no longer.
    if (oneWay || state !== 'dispatched' || abortReason !== undefined) void this.stop();
    else this.#sender = message.incoming.reply({ onReady: () => this.#feeder.wake() });
    if (this.isReady) this.#feeder.wake();
  }

  get isReady(): boolean {
    return this.#sender?.isReady === true;
  }

  give(item: Buffer): void {
    if (this.#message.incoming.giveItem(item)) return;
    const limit = this.#message.peerMaxMessageSize;
    this.#message.report(
      new InterconnectError(
        'IC_ERR_TOO_LARGE',
        `An item of ${item.length} bytes exceeds the ${limit} bytes that the other side takes. ` +
          `Answer in smaller items, or raise maxMessageSize there.`,
      ),
    );
    void this.stop();
  }

  end(): void {
    this.#finish(FrameType.ACCEPT, this.#meta);
  }

  fail(error: unknown): void {
    this.report(error);
    this.#finish(FrameType.REJECT, { code: Code.FAILED, text: 'The handler failed.' });
  }

  report(error: unknown): void {
    this.#message.report(error);
  }

  /** Nobody wants the rest. The message is settled, and its place free, when the source has ended its work. */
  async stop(): Promise<void> {
    await this.#feeder.stop();
    this.#finish(FrameType.REJECT, STOPPED);
  }

  #finish(type: number, meta: Meta): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#message.settle(type, meta);
    this.#resolve();
  }
}

const STOPPED: Meta = { code: Code.CANCELLED_RUNNING, text: 'The answer was stopped.' };
