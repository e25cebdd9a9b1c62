import { types } from 'node:util';
import type { Bytes } from '../../endpoint/index.js';

/**
 * Whether Interconnect can send the value unchanged. Looks at the internal slot, because `instanceof` fails for values of
 * another realm (Jest's, or that of a `vm` context). Other typed arrays are refused, because their bytes depend on the
 * machine's byte order.
 */
export function isBytes(value: unknown): value is Bytes {
  return types.isUint8Array(value) || types.isArrayBuffer(value) || types.isDataView(value);
}

/** The type of a value for an error text, without its content: `a string`, `an object (UserDto)`. */
export function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';

  const kind = Symbol.asyncIterator in value ? 'an async iterable' : 'an object';
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === 'string' && name !== '' ? `${kind} (${name})` : kind;
}

/** A view of the same memory; nothing is copied. */
export function toBuffer(data: Bytes): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return types.isAnyArrayBuffer(data)
    ? Buffer.from(data)
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
