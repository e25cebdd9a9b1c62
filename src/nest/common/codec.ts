/**
 * Turns the values of applications into bytes and back, by the options `encoding`, `serializer` and `deserializer`. Without
 * these options there is no codec, and a message costs nothing here.
 *
 * A serializer gets the same packet as Nest's own serializers: `{ pattern, data }` for a message and `{ response }` for a
 * response. It returns such a packet with other contents, or the contents alone; `encoding` then makes bytes of them. A
 * deserializer gets the packet with the value that `encoding` made of the bytes. Neither of them sees id or errors, which
 * travel beside the payload.
 */
import type { Deserializer, Serializer } from '@nestjs/microservices';
import { EMPTY, inspectShort, optionError } from '../../endpoint/index.js';
import type { Bytes } from '../../endpoint/index.js';
import { describeType, isBytes } from './bytes.js';
import { jsonLimitsOf, readJson } from './json.js';
import type { InterconnectJsonOptions } from './json.js';
import { isPromiseLike } from './promises.js';

/** `'binary'`: unchanged bytes; `'json'`: any value that has a form in JSON, as with Nest's TCP transport. */
export type InterconnectEncoding = 'binary' | 'json';

/** The options of servers and clients that make a codec. */
export interface CodecOptions extends InterconnectJsonOptions {
  readonly encoding?: InterconnectEncoding | undefined;
  readonly serializer?: Serializer | undefined;
  readonly deserializer?: Deserializer | undefined;
}

/** The two options for Nest's own initializers, whose types do not allow `undefined`. */
export function serializersOf({ serializer, deserializer }: CodecOptions): {
  serializer?: Serializer;
  deserializer?: Deserializer;
} {
  return { ...(serializer && { serializer }), ...(deserializer && { deserializer }) };
}

/** One side's way from values to bytes and back. It gives promises if its serializer does. */
export interface Codec {
  /** @throws UnfitValue for a value that cannot be encoded, with its type and the remedy. */
  encode(value: unknown, pattern: unknown): Bytes | PromiseLike<Bytes>;
  /** @throws for bytes that cannot be decoded. The result may be a promise. */
  decode(payload: Buffer, pattern: unknown): unknown;
}

/** The field of a packet that has the contents: `data` of a message, `response` of a response. */
type Field = 'data' | 'response';

/** The codec of a caller; `undefined` if bytes are sent and received unchanged. */
export function clientCodec(options: CodecOptions): Codec | undefined {
  return createCodec(options, 'data', 'response');
}

/** The codec of a server: the counterpart of `clientCodec`. */
export function serverCodec(options: CodecOptions): Codec | undefined {
  return createCodec(options, 'response', 'data');
}

/** A value that has no form as bytes. The message begins with its type: `a number. …`. */
export class UnfitValue extends TypeError {
  constructor(value: unknown, remedy: string) {
    super(`${describeType(value)}. ${remedy}`);
  }
}

/** The error of a side that sends bytes unchanged. */
export function notBytes(value: unknown): UnfitValue {
  return new UnfitValue(
    value,
    'Interconnect moves bytes: encode it first, for example with Buffer.from(JSON.stringify(value)), or set ' +
      "encoding: 'json' on both sides.",
  );
}

/** One value of a handler's response as bytes. @throws UnfitValue, or rejects, for a value that has no form as bytes. */
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
  const limits = jsonLimitsOf(options);
  const hasNone = serializer === undefined && deserializer === undefined;
  if (encoding === 'binary' && hasNone) return undefined;

  const toBytes = encoding === 'json' ? toJson : asBytes;
  const fromJson = (payload: Buffer) =>
    // JSON has no form for `undefined`.
    payload.length === 0 ? undefined : readJson(payload, limits);
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

/** Refuses a wrong option when the client or server is made, before the first message. */
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

/** The contents of a packet, or the value itself. Only a value that also has Nest's other field is a packet. */
function serialized(result: unknown, field: Field): unknown {
  const other = field === 'data' ? 'pattern' : 'isDisposed';
  const isPacket = typeof result === 'object' && result !== null && other in result;
  return isPacket ? contentsOf(result, field) : result;
}

/** The contents of a packet, or the value itself if it is no packet. */
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
  // By its type, JSON.stringify always gives a string. For a function or a symbol it gives undefined.
  const json: unknown = JSON.stringify(value);
  if (typeof json === 'string') return Buffer.from(json, 'utf8');
  throw new UnfitValue(value, 'JSON has no form for it.');
}
