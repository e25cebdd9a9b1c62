/** A message whose handler has started, and the actions of the handler. */
import type { AbortReason, IncomingMessage } from '../../src/protocol/index.js';
import { encodeMeta, FrameType } from '../../src/wire/index.js';
import { SimSource } from '../support/sim/sim-source.js';
import type { Channel } from './app-session.js';
import type { Attempt } from './attempt.js';

export class Delivery {
  readonly incoming: IncomingMessage;
  readonly channel: Channel;
  readonly attempt: Attempt;
  aborted: AbortReason | undefined;
  hasEnded = false;
  /** `answer`: the settlement that took effect. `code`: its code if it is a rejection. */
  answer: string | undefined;
  code: number | undefined;
  /**
   * `reads`: whether the handler takes each item as soon as it arrives. `items`: the items taken. `hasAllItems`:
   * whether the last one was taken.
   */
  reads = false;
  readonly items: Buffer[] = [];
  hasAllItems = false;
  /** `replies`: the items of the response. `hasReplied`: whether the message was settled after the last of them. */
  replies: readonly Buffer[] = [];
  isStreaming = false;
  hasReplied = false;

  constructor(channel: Channel, incoming: IncomingMessage, attempt: Attempt) {
    this.channel = channel;
    this.incoming = incoming;
    this.attempt = attempt;
    incoming.abortListener = this;
    if (incoming.requestItems !== undefined) incoming.requestItems.sink = this;
  }

  onItem(): void {
    if (this.reads) this.read();
  }

  /** Takes the items that have arrived, at most `count`. */
  read(count = Infinity): void {
    const { requestItems } = this.incoming;
    for (let left = count; left > 0; left--) {
      const item = requestItems?.take();
      if (item === undefined) break;
      this.items.push(item);
    }
    if (requestItems?.isAtEnd === true) this.hasAllItems = true;
  }

  /** Responds with these items, and then calls `then`. */
  stream(items: readonly Buffer[], then: () => void): void {
    const streams = this.channel.machine.receiver.streams;
    if (this.incoming.state !== 'RUNNING') return;
    this.replies = items;
    this.isStreaming = true;
    const source = new SimSource(items, (item) => void streams.send(this.incoming, item), then);
    source.attach(streams.reply(this.incoming, { onReady: () => source.onReady() }));
  }

  /** The handler ends: it accepts, or rejects with a code. Only the first settlement takes effect. */
  settle(code: number | undefined, data: Buffer): void {
    const { incoming, attempt } = this;
    const kind = code === undefined ? 'accepted' : `rejected ${code}`;
    const { world } = this.channel.half.end;
    world.trace(`the handler of ${attempt.name} ${kind} ${data.length} B`);
    this.hasEnded = true;
    const meta = encodeMeta(code === undefined ? {} : { code, text: 'why' });
    const type = code === undefined ? FrameType.ACCEPT : FrameType.REJECT;
    const { code: former } = this;
    // Set the code before the settlement is written: the other side may read it within this tick.
    this.code ??= code;
    if (!incoming.settle(type, meta, data)) this.code = former;
    else if (!incoming.oneWay) this.answer = `${kind} ${data.toString('latin1')}`;
  }

  onAbort(reason: AbortReason): void {
    this.channel.half.end.world.time.guard(() => {
      if (this.aborted !== undefined) throw new Error(`${this.attempt.name} is aborted twice.`);
      this.aborted = reason;
    });
  }
}
