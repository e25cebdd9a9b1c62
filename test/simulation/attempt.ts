/**
 * One message on one connection, as the protocol floor tells of it, and the truth about it: whether an octet of it
 * left this side, and whether its handler ran.
 *
 * An octet has *left* when it was handed to a socket that this side had neither ended nor destroyed. Whether the
 * network was dead by then makes no difference, because this side could not know; nor does it whether the kernel had
 * taken the octet. Nothing is ever encoded for a socket that this side knows to be dead. A message has left *whole*
 * when the last octet of its SEND and FRAG frames has left: no handler starts before.
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
  /** Under which number and id its octets left. */
  sessionId = 0;
  id = 0;
  /** Whether an octet of it has left, and whether all of its first frames have. */
  hasLeft = false;
  isWhole = false;
  /** Its handler, once that has started. */
  delivery: Delivery | undefined;
  /** The protocol floor has told what became of it. */
  isOver = false;
  failure: Failure | undefined;
  /** It was told that its handler did not run and never will. */
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

  /** Its SEND leaves. */
  onFirst({ session, id, flags }: Frame): void {
    this.sessionId = session;
    this.id = id;
    this.hasLeft = true;
    this.isWhole = (flags & Flag.MORE) === 0;
    if (this.isOver && !this.mayLeaveLate) {
      throw new Error(`${this.name} leaves after its end: ${this.letter.outcome}.`);
    }
  }

  /** Its handler starts. */
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

  /** A further frame of it leaves: of its items, if it is whole. */
  onFragment({ flags }: Frame): void {
    this.isWhole ||= (flags & Flag.MORE) === 0;
  }

  onOutcome(type: number, meta: Meta): void {
    // The endpoint takes that for a failure, and says so next.
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

  /** It is written: the same flush hands its octets to the socket, when all is written. */
  onSent(): void {
    this.#end();
    this.#mayLeave = !this.hasLeft;
  }

  /**
   * Whether its octets may leave although it has ended: they are in the flush of now, which hands them to the socket
   * when all is encoded.
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

/** Whether the code says that no handler was started: class 04, or an application's own of that meaning. */
function isRefusedUnstarted({ code = Code.OK }: Meta): boolean {
  return code >> 8 === 0x04 || code >= 0xc000;
}
