import { quote } from '../../endpoint/index.js';
import type { Bytes, Metadata, WhenOffline } from '../../endpoint/index.js';

/** The contents of a message: bytes, or a stream of them. */
export type InterconnectData = Bytes | AsyncIterable<Bytes>;

const RECORD = Symbol.for('nestjs-interconnect.record');

/**
 * Bytes with metadata and options. Give a record to `client.send()` or `client.emit()` instead of the bytes. A handler may
 * return one too; then only data and metadata count. `InterconnectRecordBuilder` makes it.
 */
export class InterconnectRecord<Data = Bytes> {
  /** The bytes, not copied, or a stream of them. With a serializer or `encoding: 'json'`, any value. */
  readonly data: Data | undefined;
  /** String entries beside the bytes. */
  readonly metadata: Metadata | undefined;
  /** Milliseconds until the call fails without an outcome; `undefined` = the client's `messageTimeout`. */
  readonly timeout: number | undefined;
  /** Whether no outcome is wanted; `undefined` = as the client's `oneWay` says. */
  readonly oneWay: boolean | undefined;
  /** Whether the handler may run twice without harm. */
  readonly idempotent: boolean | undefined;
  /** How long the call waits for a connection; `undefined` = as the client's `whenOffline` says. */
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

/** Looks at a brand, so that it also recognises the records of another copy of the package. */
export function isInterconnectRecord(value: unknown): value is InterconnectRecord<unknown> {
  return typeof value === 'object' && value !== null && RECORD in value;
}

/**
 * ```ts
 * const record = new InterconnectRecordBuilder(chunk).setMetadata({ offset: '4096' }).setTimeout(5_000).build();
 * await firstValueFrom(client.send('replicate', record));
 * ```
 * Wrong values throw a `TypeError` in the builder, and not when the record is sent.
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

  /** The bytes are not copied: do not change them until the message is settled. */
  setData(data: Data): this {
    this.data = data;
    return this;
  }

  /** Adds entries. A known name gets the new value. The other side reads the entries with `ctx.getMetadata()`. */
  setMetadata(metadata: Metadata): this {
    for (const [name, value] of Object.entries(metadata)) {
      if (typeof value !== 'string') {
        throw new TypeError(`Metadata is text: the value of ${quote(name)} is a ${typeof value}.`);
      }
    }
    this.metadata = { ...this.metadata, ...metadata };
    return this;
  }

  /** Whole milliseconds until the message times out, instead of the client's `messageTimeout`; 0 = no limit. */
  setTimeout(milliseconds: number): this {
    if (!Number.isInteger(milliseconds) || milliseconds < 0) {
      throw new TypeError(`A timeout is a whole number of milliseconds: ${milliseconds}.`);
    }
    this.timeout = milliseconds;
    return this;
  }

  /** Sends without acknowledgement: the call completes when the message is written to the socket, whatever the handler does. */
  setOneWay(oneWay = true): this {
    this.oneWay = oneWay;
    return this;
  }

  /**
   * The handler may run twice without harm. If the connection is lost for good, and it is not known whether the handler ran, the
   * message is sent again on the next connection instead of failing with `executed: 'maybe'`.
   */
  setIdempotent(idempotent = true): this {
    this.idempotent = idempotent;
    return this;
  }

  /**
   * How long the call waits for a connection, instead of the client's `whenOffline`: milliseconds of outage, `'wait'` or
   * `'fail'`.
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

  /** The record. The builder may be used again. */
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
