import { quote } from '../../endpoint/index.js';
import type { Bytes, Metadata, WhenOffline } from '../../endpoint/index.js';

/** What a message may hold: bytes, or a stream of them. */
export type InterconnectData = Bytes | AsyncIterable<Bytes>;

const RECORD = Symbol.for('nestjs-interconnect.record');

/**
 * Bytes with what shall travel or happen beside them. Given to `client.send()` or `client.emit()`
 * instead of the bytes, or returned by a handler, where only data and metadata count.
 * Made by `InterconnectRecordBuilder`.
 */
export class InterconnectRecord<Data = Bytes> {
  /** The bytes, not copied, or a stream of them. With a serializer or `encoding: 'json'`, any value. */
  readonly data: Data | undefined;
  /** String entries beside them. */
  readonly metadata: Metadata | undefined;
  /** Milliseconds until an outcome must be there; `undefined` = the client's `messageTimeout`. */
  readonly timeout: number | undefined;
  /** No outcome is wanted; `undefined` = as the client's `oneWay` says. */
  readonly oneWay: boolean | undefined;
  /** It does no harm if the handler runs twice. */
  readonly idempotent: boolean | undefined;
  /** For how long it waits while there is no connection; `undefined` = as the client's `whenOffline` says. */
  readonly whenOffline: WhenOffline | undefined;

  constructor(data: Data | undefined, options: InterconnectRecordOptions = {}) {
    this.data = data;
    this.metadata = options.metadata;
    this.timeout = options.timeout;
    this.oneWay = options.oneWay;
    this.idempotent = options.idempotent;
    this.whenOffline = options.whenOffline;
  }

  /** @internal */
  get [RECORD](): true {
    return true;
  }
}

/** See the fields of `InterconnectRecord` of the same names. */
export interface InterconnectRecordOptions {
  /** At most 64 entries and 7,000 bytes. */
  readonly metadata?: Metadata | undefined;
  /** Milliseconds; 0 = no limit. */
  readonly timeout?: number | undefined;
  /** Default: as the client's option. */
  readonly oneWay?: boolean | undefined;
  /** Default `false`. */
  readonly idempotent?: boolean | undefined;
  /** Default: as the client's option. */
  readonly whenOffline?: WhenOffline | undefined;
}

/** By brand, so that it holds across two copies of the package. */
export function isInterconnectRecord(value: unknown): value is InterconnectRecord<unknown> {
  return typeof value === 'object' && value !== null && RECORD in value;
}

/**
 * ```ts
 * const record = new InterconnectRecordBuilder(chunk).setMetadata({ offset: '4096' }).setTimeout(5_000).build();
 * await firstValueFrom(client.send('replicate', record));
 * ```
 * Wrong values throw a `TypeError` here, at the line that is wrong, and not when the record is sent.
 */
export class InterconnectRecordBuilder<Data = Bytes> {
  private data: Data | undefined;
  private metadata: Metadata | undefined;
  private timeout: number | undefined;
  private oneWay: boolean | undefined;
  private idempotent: boolean | undefined;
  private whenOffline: WhenOffline | undefined;

  constructor(data?: Data) {
    this.data = data;
  }

  /** The bytes are not copied: leave them alone until the message is settled. */
  setData(data: Data): this {
    this.data = data;
    return this;
  }

  /** Adds entries; a name that is already there gets the new value. The other side reads them with `ctx.getMetadata()`. */
  setMetadata(metadata: Metadata): this {
    for (const [name, value] of Object.entries(metadata)) {
      if (typeof value !== 'string') {
        throw new TypeError(`Metadata is text: the value of ${quote(name)} is a ${typeof value}.`);
      }
    }
    this.metadata = { ...this.metadata, ...metadata };
    return this;
  }

  /** Whole milliseconds until the message counts as timed out, instead of the client's `messageTimeout`; 0 for none. */
  setTimeout(milliseconds: number): this {
    if (!Number.isInteger(milliseconds) || milliseconds < 0) {
      throw new TypeError(`A timeout is a whole number of milliseconds: ${milliseconds}.`);
    }
    this.timeout = milliseconds;
    return this;
  }

  /** Sends without acknowledgement: done as soon as it is written to the socket; nothing is known of the handler. */
  setOneWay(oneWay = true): this {
    this.oneWay = oneWay;
    return this;
  }

  /**
   * It does no harm if the handler runs twice: where the connection is lost for good, and nobody knows whether the
   * handler ran, the message goes again on the next one instead of failing with `executed: 'maybe'`.
   */
  setIdempotent(idempotent = true): this {
    this.idempotent = idempotent;
    return this;
  }

  /**
   * For how long it waits while there is no connection, instead of the client's `whenOffline`: milliseconds of outage, `'wait'`
   * or `'fail'`.
   */
  setWhenOffline(whenOffline: WhenOffline): this {
    const isKnown = whenOffline === 'wait' || whenOffline === 'fail';
    if (!isKnown && !(Number.isInteger(whenOffline) && whenOffline >= 0)) {
      throw new TypeError(
        `whenOffline is a whole number of milliseconds, 'wait' or 'fail': ${String(whenOffline)}.`,
      );
    }
    this.whenOffline = whenOffline;
    return this;
  }

  /** The record so far; the builder may be used on. */
  build(): InterconnectRecord<Data> {
    return new InterconnectRecord(this.data, {
      ...(this.metadata !== undefined && { metadata: this.metadata }),
      ...(this.timeout !== undefined && { timeout: this.timeout }),
      ...(this.oneWay !== undefined && { oneWay: this.oneWay }),
      ...(this.idempotent !== undefined && { idempotent: this.idempotent }),
      ...(this.whenOffline !== undefined && { whenOffline: this.whenOffline }),
    });
  }
}
