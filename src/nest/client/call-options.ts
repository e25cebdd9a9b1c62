/** The options that one call adds to those of its client. */
import type { Metadata, WhenOffline } from '../../endpoint/index.js';
import { InterconnectRecord, isInterconnectRecord } from '../common/interconnect.record.js';
import type { Call } from './call.js';

/** The options of one `request()`. They override the same settings of a record. */
export interface InterconnectRequestOptions {
  /** Milliseconds until the request fails without an outcome. Default: the client's `messageTimeout`; 0 = no limit. */
  timeout?: number | undefined;
  /** Cancels the request when it aborts. The handler's `ctx.signal` then aborts too. */
  signal?: AbortSignal | undefined;
  /** Entries beside the bytes. The handler reads them with `ctx.getMetadata()`. */
  metadata?: Metadata | undefined;
  /** Whether the handler may run twice without harm. */
  idempotent?: boolean | undefined;
  /** How long the request waits for a connection. Default: the client's `whenOffline`. */
  whenOffline?: WhenOffline | undefined;
}

/** Adds the client's metadata. The entries of a dispatch hook come last, because they are more specific. */
export function withMetadata(call: Call, metadata: Metadata): Call {
  const { packet } = call;
  return { ...call, packet: { ...packet, metadata: { ...metadata, ...packet.metadata } } };
}

/** The data with the options of its request, as a record. */
export function withOptions(
  data: unknown,
  options: Omit<InterconnectRequestOptions, 'signal'>,
): unknown {
  const { timeout, metadata, idempotent, whenOffline } = options;
  const isPlain = timeout === undefined && metadata === undefined && idempotent === undefined;
  if (isPlain && whenOffline === undefined) return data;
  if (!isInterconnectRecord(data)) return new InterconnectRecord<unknown>(data, options);
  const { oneWay } = data;
  const lasting = timeout ?? data.timeout;
  const harmless = idempotent ?? data.idempotent;
  return new InterconnectRecord<unknown>(data.data, {
    ...(lasting !== undefined && { timeout: lasting }),
    ...(harmless !== undefined && { idempotent: harmless }),
    ...(oneWay !== undefined && { oneWay }),
    whenOffline: whenOffline ?? data.whenOffline,
    metadata: { ...data.metadata, ...metadata },
  });
}
