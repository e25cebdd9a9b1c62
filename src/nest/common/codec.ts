/**
 * Between the values that applications handle and the bytes that travel: `encoding`, `serializer` and
 * `deserializer`. Without them there is no codec, and a message costs nothing here.
 *
 * A serializer gets what Nest gives its own: `{ pattern, data }` for a message and `{ response }` for an
 * answer. It returns such a packet with other contents, or the contents alone; `encoding` then makes bytes
 * of them. A deserializer gets the packet with what `encoding` made of the bytes. Pattern, id and errors are no
 * concern of theirs: they travel beside the payload.
 */
import type { Deserializer, Serializer } from '@nestjs/microservices';
import { EMPTY, inspectShort, optionError, tame } from '../../endpoint/index.js';
import type { Bytes } from '../../endpoint/index.js';
import { describeType, isBytes } from './bytes.js';
import { isPromiseLike } from './promises.js';

/** `'binary'`: bytes as they are; `'json'`: any value that JSON has a form for, as with Nest's TCP transport. */
export type InterconnectEncoding = 'binary' | 'json';

/** What server and client options have in common here. */
export interface CodecOptions {
  readonly encoding?: InterconnectEncoding | undefined;
  readonly serializer?: Serializer | undefined;
  readonly deserializer?: Deserializer | undefined;
}

/** For Nest's own way to take them over, whose types know no `undefined`. */
export function serializersOf({ serializer, deserializer }: CodecOptions): {
  serializer?: Serializer;
  deserializer?: Deserializer;
} {
  return { ...(serializer && { serializer }), ...(deserializer && { deserializer }) };
}

/** One side's way from values to bytes and back. Where a serializer is asynchronous, so is this. */
export interface Codec {
  /** @throws UnfitValue for what cannot be encoded, naming its type and the remedy. */
  encode(value: unknown, pattern: unknown): Bytes | PromiseLike<Bytes>;
  /** @throws for bytes that are not what they should be. May be a promise. */
  decode(payload: Buffer, pattern: unknown): unknown;
}

/** Where the contents stand in a packet: at a caller's side in `data` on the way out, and `response` back. */
type Field = 'data' | 'response';

/** `undefined`: bytes go out and come in as they are. */
export function clientCodec(options: CodecOptions): Codec | undefined {
  return createCodec(options, 'data', 'response');
}

/** The other end of `clientCodec`. */
export function serverCodec(options: CodecOptions): Codec | undefined {
  return createCodec(options, 'response', 'data');
}

/** A value that no bytes can be made of. The message begins with its type: `a number. …`. */
export class UnfitValue extends TypeError {
  constructor(value: unknown, remedy: string) {
    super(`${describeType(value)}. ${remedy}`);
  }
}

/** For a side that moves bytes as they are. */
export function notBytes(value: unknown): UnfitValue {
  return new UnfitValue(
    value,
    'Interconnect moves bytes: encode it first, for example with Buffer.from(JSON.stringify(value)), or set ' +
      "encoding: 'json' on both sides.",
  );
}

/** One value of a handler's answer. @throws UnfitValue, or rejects, for what cannot travel. */
export function encodeAnswer(
  value: unknown,
  codec: Codec | undefined,
  pattern: string,
): Bytes | PromiseLike<Bytes> {
  if (codec !== undefined) return codec.encode(value, pattern);
  const data = value ?? EMPTY;
  if (isBytes(data)) return data;
  throw new UnfitValue(data, 'Give bytes (Buffer, Uint8Array, ArrayBuffer, DataView).');
}

function createCodec(options: CodecOptions, out: Field, back: Field): Codec | undefined {
  const { serializer, deserializer } = options;
  const encoding: unknown = options.encoding ?? 'binary';
  if (encoding !== 'binary' && encoding !== 'json') {
    throw optionError(`encoding is 'binary' or 'json', and not ${inspectShort(encoding)}.`);
  }
  checkMethod('serializer', serializer, 'serialize');
  checkMethod('deserializer', deserializer, 'deserialize');
  const hasNone = serializer === undefined && deserializer === undefined;
  if (encoding === 'binary' && hasNone) return undefined;

  const toBytes = encoding === 'json' ? toJson : asBytes;
  const fromBytes = encoding === 'json' ? fromJson : (payload: Buffer) => payload;
  return {
    encode(value, pattern) {
      if (serializer === undefined) return toBytes(value);
      const packet = packetOf(out, value, pattern);
      const result: unknown = serializer.serialize(packet, { pattern });
      if (!isPromiseLike(result)) return toBytes(serialized(result, out));
      return result.then((later) => toBytes(serialized(later, out)));
    },
    decode(payload, pattern) {
      const value = fromBytes(payload);
      if (deserializer === undefined) return value;
      const packet = packetOf(back, value, pattern);
      const result: unknown = deserializer.deserialize(packet, { pattern });
      return isPromiseLike(result)
        ? result.then((later) => contentsOf(later, back))
        : contentsOf(result, back);
    },
  };
}

/** Found when the client or server is made, and not at the first message. */
function checkMethod(option: string, value: object | undefined, method: string): void {
  if (value === undefined) return;
  const found: unknown = Reflect.get(Object(value), method);
  if (typeof found === 'function') return;
  throw optionError(
    `${option} must be an object with a method "${method}", and is ${inspectShort(value)}.`,
  );
}

function packetOf(field: Field, value: unknown, pattern: unknown): object {
  return field === 'data' ? { pattern, data: value } : { response: value, isDisposed: true };
}

/** Contents with a field of that name are no packet: a packet has Nest's other field as well. */
function serialized(result: unknown, field: Field): unknown {
  const other = field === 'data' ? 'pattern' : 'isDisposed';
  const isPacket = typeof result === 'object' && result !== null && other in result;
  return isPacket ? contentsOf(result, field) : result;
}

/** A packet stands for its contents; anything else for itself. */
function contentsOf(result: unknown, field: Field): unknown {
  if (typeof result !== 'object' || result === null) return result;
  return field in result ? (result as Partial<Record<Field, unknown>>)[field] : result;
}

function asBytes(value: unknown): Bytes {
  if (value === undefined) return EMPTY;
  if (isBytes(value)) return value;
  throw notBytes(value);
}

function toJson(value: unknown): Bytes {
  if (value === undefined) return EMPTY;
  // Its type says that it always gives a string; for a function or a symbol it does not.
  const json: unknown = JSON.stringify(value);
  if (typeof json === 'string') return Buffer.from(json, 'utf8');
  throw new UnfitValue(value, 'JSON has no form for it.');
}

/** Nothing at all is `undefined`, for which JSON has no form either. */
function fromJson(payload: Buffer): unknown {
  if (payload.length === 0) return undefined;
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return value;
  } catch (cause) {
    // Its message quotes the payload.
    tame(cause);
    throw new TypeError('The payload is not JSON. Set the same encoding on both sides.', { cause });
  }
}
