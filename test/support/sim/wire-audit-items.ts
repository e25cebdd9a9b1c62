/** The items of one stream in one direction, as the audit reads them from the frames. */
import { addBytes, bytesBetween, Flag } from '../../../src/wire/index.js';
import type { LoggedFrame as Frame } from '../codec/frame-log.js';

export class AuditedItems {
  /** No further item may follow, because END or CANCEL was written. */
  #over = false;
  /** The settlement has arrived. Items that were already queued may still follow, but none in fragments. */
  #settled = false;
  /** Items written, items arrived, and the limit of items. */
  #written = 0;
  #arrived = 0;
  #limit: number;
  /** The limit that the receiver has written. Its CREDIT may still be on its way. */
  #granted: number;
  readonly #window: number;
  #unfinished: { readonly total: number | undefined; size: number } | undefined;

  /** `window`: the item credit that the receiver's greeting announced. */
  constructor(window: number) {
    this.#limit = this.#granted = this.#window = window;
  }

  get isUnfinished(): boolean {
    return this.#unfinished !== undefined;
  }

  /** Whether the stream has ended, or its message is settled. */
  get isOver(): boolean {
    return this.#over || this.#settled;
  }

  get hasBegun(): boolean {
    return this.#written !== 0;
  }

  onItem({ flags, payload, meta }: Frame): void {
    assert(!this.#over, 'the stream is over.');
    assert(!this.#settled || (flags & Flag.MORE) === 0, 'the message of the item is settled.');
    assert(this.#unfinished === undefined, 'the previous item is incomplete.');
    this.#written = addBytes(this.#written, 1);
    assert(bytesBetween(this.#written, this.#limit) >= 0, `beyond the limit of ${this.#limit}.`);
    if ((flags & Flag.END) !== 0) this.#over = true;
    if ((flags & Flag.MORE) !== 0) this.#unfinished = { total: meta.total, size: payload.length };
    else
      assert(
        meta.total === undefined || meta.total === payload.length,
        'the payload does not have the length in TOTAL.',
      );
  }

  onFragment({ flags, payload }: Frame): void {
    const unit = this.#unfinished;
    assert(unit !== undefined, 'no item is incomplete.');
    unit.size += payload.length;
    if ((flags & Flag.MORE) !== 0) return;
    assert(unit.size === unit.total, `${unit.size} octets, ${unit.total} announced.`);
    this.#unfinished = undefined;
  }

  onArrived(): void {
    this.#arrived = addBytes(this.#arrived, 1);
  }

  /** CREDIT is written. The limit must grow, and must not exceed the arrived items by more than the window. */
  onGrant(limit: number): void {
    assert(
      bytesBetween(this.#granted, limit) > 0,
      `the limit is not above the former one of ${this.#granted}.`,
    );
    const ahead = bytesBetween(this.#arrived, limit);
    assert(
      ahead <= this.#window,
      `it allows ${ahead} items beyond those that have come; the window is ${this.#window}.`,
    );
    this.#granted = limit;
  }

  /** The CREDIT has arrived. */
  onCredit(limit: number): void {
    if (bytesBetween(this.#limit, limit) > 0) this.#limit = limit;
  }

  onSettled(): void {
    this.#settled = true;
    this.#unfinished = undefined;
  }

  onCancel(): void {
    this.#over = true;
    this.#unfinished = undefined;
  }
}

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
