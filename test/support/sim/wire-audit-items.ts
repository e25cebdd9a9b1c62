/** The items of one stream in one direction, as the audit reads them off the wire. */
import { addBytes, bytesBetween, Flag } from '../../../src/wire/index.js';
import type { LoggedFrame as Frame } from '../codec/frame-log.js';

export class AuditedItems {
  /** Nothing of it may follow: END was written, or CANCEL. */
  #over = false;
  /** The settlement has arrived: what was on its way to the socket may follow, and nothing in fragments. */
  #settled = false;
  /** Items written, items arrived, and how many may be. */
  #written = 0;
  #arrived = 0;
  #limit: number;
  /** What the receiver has granted, perhaps still on its way. */
  #granted: number;
  readonly #window: number;
  #unfinished: { readonly total: number | undefined; size: number } | undefined;

  /** `window`: what the greeting of the receiver allows. */
  constructor(window: number) {
    this.#limit = this.#granted = this.#window = window;
  }

  get isUnfinished(): boolean {
    return this.#unfinished !== undefined;
  }

  /** Nothing of it may follow, or is wanted. */
  get isOver(): boolean {
    return this.#over || this.#settled;
  }

  get hasBegun(): boolean {
    return this.#written !== 0;
  }

  onItem({ flags, payload, meta }: Frame): void {
    assert(!this.#over, 'the stream is over.');
    assert(!this.#settled || (flags & Flag.MORE) === 0, 'its message is settled.');
    assert(this.#unfinished === undefined, 'the item before it is unfinished.');
    this.#written = addBytes(this.#written, 1);
    assert(bytesBetween(this.#written, this.#limit) >= 0, `beyond the limit of ${this.#limit}.`);
    if ((flags & Flag.END) !== 0) this.#over = true;
    if ((flags & Flag.MORE) !== 0) this.#unfinished = { total: meta.total, size: payload.length };
    else assert(meta.total === undefined || meta.total === payload.length, 'not what TOTAL says.');
  }

  onFragment({ flags, payload }: Frame): void {
    const unit = this.#unfinished;
    assert(unit !== undefined, 'no item is unfinished.');
    unit.size += payload.length;
    if ((flags & Flag.MORE) !== 0) return;
    assert(unit.size === unit.total, `${unit.size} octets, ${unit.total} announced.`);
    this.#unfinished = undefined;
  }

  onArrived(): void {
    this.#arrived = addBytes(this.#arrived, 1);
  }

  /** CREDIT is written: it grows, and allows no more than the window beyond what has come. */
  onGrant(limit: number): void {
    assert(bytesBetween(this.#granted, limit) > 0, `no more items than ${this.#granted}.`);
    const ahead = bytesBetween(this.#arrived, limit);
    assert(ahead <= this.#window, `${ahead} more items than have come; it has ${this.#window}.`);
    this.#granted = limit;
  }

  /** That CREDIT has arrived. */
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
