/** An ITEM as a unit of the output: one element of a request, or (with REPLY) of a response. */
import { FrameType, EMPTY } from '../../wire/index.js';
import { Unit } from '../output/unit.js';
import type { SendWindow } from '../flow/windows.js';

/** The stream that the item belongs to. */
interface ItemStream {
  readonly sessionId: number;
  /** The id of the message. */
  readonly id: number;
  /** All frames of the item are written. */
  onItemWritten(item: OutgoingItem): void;
}

export class OutgoingItem extends Unit {
  readonly #stream: ItemStream;

  constructor(stream: ItemStream, flags: number, payload: Buffer, window: SendWindow) {
    super(FrameType.ITEM, flags, EMPTY, payload);
    this.sessionId = stream.sessionId;
    this.id = stream.id;
    this.window = window;
    this.#stream = stream;
  }

  onWritten(): void {
    this.#stream.onItemWritten(this);
  }

  onAcknowledged(): void {
    this.payload = EMPTY;
  }
}
