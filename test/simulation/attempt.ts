/**
 * One message on one connection: the events that the protocol floor reports of it, and the truth about it. The truth
 * is whether an octet of the message has left this side, and whether its handler has run.
 * An octet has *left* when it was handed to a socket that this side had neither ended nor destroyed. The network may
 * have been dead already, because this side could not know. The kernel need not have taken the octet. No frame is
 * encoded for a socket that this side knows to be dead. A message has left *whole* when the last octet of its SEND
 * and FRAG frames has left. No handler starts before that.
 */
import type { Failure, OutgoingMessage } from '../../src/protocol/index.js';
import { Code, type Frame, FrameType, Flag, type Meta } from '../../src/wire/index.js';
import type { Channel } from './app-session.js';
import type { Delivery } from './delivery.js';
import type { Letter } from './letter.js';

export class Attempt {
  readonly letter: Letter;
  readonly channel: Channel;
  readonly message: OutgoingMessage;
  readonly deadline: number;
  /** The session number and message id with which the octets left. */
  sessionId = 0;
  id = 0;
  /** `hasLeft`: whether an octet of the message has left. `isWhole`: whether all its SEND and FRAG frames have. */
  hasLeft = false;
  isWhole = false;
  /** The running of the handler, once the handler has started. */
  delivery: Delivery | undefined;
  /** Whether the protocol floor has reported the end of the message. */
  isOver = false;
  failure: Failure | undefined;
  /** Whether the sender was told that the handler did not run and never will. */
  isNotExecuted = false;
  #mayLeave = false;

  constructor(letter: Letter, channel: Channel, message: OutgoingMessage) {
    this.letter = letter;
    this.channel = channel;
    this.message = message;
    this.deadline = message.deadline;
  }

  get name(): string {
    const { letter, channel, message } = this;
    const { end, name } = letter.session;
    const id = this.hasLeft ? this.id : message.id;
    return `Letter ${letter.number} (${letter.payload.length} B, ${name} of the ${end.role}, s=${channel.machine.id} id=${id})`;
  }

  /** SEND leaves. */
  onFirst({ session, id, flags }: Frame): void {
    this.sessionId = session;
    this.id = id;
    this.hasLeft = true;
    this.isWhole = (flags & Flag.MORE) === 0;
    if (this.isOver && !this.mayLeaveLate) {
      throw new Error(`${this.name} leaves after its end: ${this.letter.outcome}.`);
    }
  }

  /** The handler starts. */
  onDelivery(delivery: Delivery): void {
    const { letter } = this;
    if (this.delivery !== undefined) throw new Error(`${this.name} is handled twice.`);
    if (letter.deliveries.length > 0 && letter.options.idempotent !== true) {
      throw new Error(`${this.name} is handled again on another connection.`);
    }
    this.delivery = delivery;
    if (this.isNotExecuted || letter.isNotExecuted) {
      throw new Error(`${this.name} is handled, and was told that it is not: ${letter.outcome}.`);
    }
  }

  /** A further frame of the message leaves. If the message is whole, the frame belongs to an item. */
  onFragment({ flags }: Frame): void {
    this.isWhole ||= (flags & Flag.MORE) === 0;
  }

  onOutcome(type: number, meta: Meta): void {
    // The endpoint turns this rejection into a failure, and reports the failure next.
    if (type === FrameType.REJECT && meta.code === Code.MESSAGE_DRAINING) return;
    this.#end();
    const wasStreamed = type === FrameType.ACCEPT && this.delivery?.isStreaming === true;
    if (wasStreamed !== this.message.isStreamed) {
      throw new Error(`${this.name} has a wrong STREAM: ${this.message.isStreamed}.`);
    }
    if (!this.isWhole && type === FrameType.ACCEPT) {
      throw new Error(`${this.name} is accepted, and has not left.`);
    }
    if (type === FrameType.REJECT && isRefusedUnstarted(meta) && !this.#isOfHandler(meta)) {
      this.#expectNotRun(`it is rejected by ${meta.code}`);
    }
  }

  onFailure(failure: Failure): void {
    const { letter, channel } = this;
    this.#end();
    this.failure = failure;
    this.#mayLeave = this.message.started && !this.hasLeft;
    const { end } = letter.session;
    end.world.moments.note(failure.kind, this);
    channel.half.checkFailure(failure, this.name);
    if (failure.kind === 'offline' && this.hasLeft) {
      throw new Error(`${this.name} was written, and fails for want of a socket.`);
    }
    if (failure.executed === 'no') return this.#expectNotRun(`it fails: ${failure.kind}, no`);
    if (this.hasLeft || this.mayLeaveLate) return;
    throw new Error(
      `${this.name} fails: ${failure.kind}, ${failure.executed}; and no octet of it has left.`,
    );
  }

  /** The message is written. The flush hands the octets to the socket when all frames are encoded. */
  onSent(): void {
    this.#end();
    this.#mayLeave = !this.hasLeft;
  }

  /**
   * Whether octets may leave although the message has ended. This is the case while the running flush has encoded
   * them and has not handed them to the socket.
   */
  get mayLeaveLate(): boolean {
    return this.failure?.executed !== 'no' && this.#mayLeave;
  }

  #isOfHandler(meta: Meta): boolean {
    return this.delivery?.code !== undefined && this.delivery.code === meta.code;
  }

  #expectNotRun(why: string): void {
    this.isNotExecuted = true;
    if (this.delivery !== undefined) throw new Error(`${this.name} has run, and ${why}.`);
  }

  #end(): void {
    if (this.isOver) throw new Error(`${this.name} is told twice what became of it.`);
    this.isOver = true;
  }
}

/** Whether the code says that no handler was started: a code of class 04, or an application's code from 0xc000 on. */
function isRefusedUnstarted({ code = Code.OK }: Meta): boolean {
  return code >> 8 === 0x04 || code >= 0xc000;
}
