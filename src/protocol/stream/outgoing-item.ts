/** One element of a stream on its way out: of a request, or (with REPLY) of an answer. */
import { FrameType, EMPTY } from '../../wire/index.js';
import { Unit } from '../output/unit.js';
import type { SendWindow } from '../flow/windows.js';

export class OutgoingItem extends Unit {
  readonly #stream: { onItemWritten(item: OutgoingItem): void };

  constructor(
    stream: { onItemWritten(item: OutgoingItem): void },
    flags: number,
    sessionId: number,
    id: number,
    payload: Buffer,
    window: SendWindow,
  ) {
    super(FrameType.ITEM, flags, sessionId, id, EMPTY, payload, window);
    this.#stream = stream;
  }

  onWritten(): void {
    this.#stream.onItemWritten(this);
  }

  onAcknowledged(): void {
    this.payload = EMPTY;
  }
}
