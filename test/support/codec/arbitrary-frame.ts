import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { Flag, FrameType, MAX_ID } from '../../../src/wire/index.js';
import type { Frame, Meta } from '../../../src/wire/index.js';

/** Any legal frame that fits into the limits of `collect.ts`. */
export function anyFrame(): Arbitrary<Frame> {
  return fc.oneof(connectionFrame(), sessionFrame(), messageFrame());
}

/** A sequence of legal frames, as a socket could carry it. */
export function anyFrames(): Arbitrary<Frame[]> {
  return fc.array(anyFrame(), { maxLength: 8, size: 'max' });
}

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u53 = fc.maxSafeNat();
const id = fc.oneof(fc.integer({ min: 1, max: MAX_ID }), fc.constantFrom(1, MAX_ID));
const zero = fc.constant(0);
const none = fc.constant(Buffer.alloc(0));
const noMeta = fc.constant<Meta>({});
const token = octets(32, 32);
const smallPayload = octets(0, 40);
/**
 * To generate each octet of a large payload would take too long. The first octet is random and makes payloads differ.
 */
const largePayload = fc
  .tuple(octets(1, 1), fc.integer({ min: 4096, max: 5000 }))
  .map(([octet, length]) => Buffer.concat([octet, Buffer.alloc(length - 1, length)]));

function octets(minLength: number, maxLength: number): Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
}

/** Text without U+0000, of all planes, between these lengths in octets. */
function text(min: number, max: number): Arbitrary<string> {
  return fc
    .string({ unit: 'binary', minLength: Math.min(min, 1), maxLength: max })
    .map((string) => string.replaceAll('\0', 'x'))
    .filter((string) => Buffer.byteLength(string) <= max);
}

/** Any of these fields, or none. */
function optional(fields: { [Field in keyof Meta]: Arbitrary<Meta[Field]> }): Arbitrary<Meta> {
  return fc.record(fields, { requiredKeys: [] });
}

const metadata = fc.array(fc.tuple(text(1, 30), text(0, 60)), { minLength: 1, maxLength: 64 });
const sessionCredit = fc.record({ messages: u32, bytes: u32, items: u32 });
const reason = { code: u16, text: text(0, 200), retryAfter: u32 };
const limits = fc.record({
  maxFrame: fc.integer({ min: 16_384, max: 0xffffff }),
  connectionCredit: fc.record({ opens: u32, bytes: u32 }),
  sessionCredit,
});
const greeting = {
  maxMessage: u53,
  idle: u32,
  caps: u32,
  agent: text(0, 128),
  maxMeta: fc.integer({ min: 2048, max: 12_288 }),
};

function merged(...metas: Arbitrary<Meta>[]): Arbitrary<Meta> {
  return fc.tuple(...metas).map((parts) => Object.assign({}, ...parts));
}

function frames(
  type: number,
  fields: { [Field in Exclude<keyof Frame, 'type'>]: Arbitrary<Frame[Field]> },
): Arbitrary<Frame> {
  return fc.record({ type: fc.constant(type), ...fields });
}

function connectionFrame(): Arbitrary<Frame> {
  const common = { flags: zero, session: zero, id: zero };
  const hello = merged(
    limits,
    optional({ ...greeting, resume: fc.record({ token, received: u32 }) }),
  );
  const welcome = merged(
    limits,
    optional({ ...greeting, ...reason, token: fc.record({ token, ttl: u32 }), resumed: u32 }),
  );
  const anyToken = fc.oneof(zero, id);
  const ping = { ...common, id: anyToken, meta: noMeta, payload: none };
  return fc.oneof(
    frames(FrameType.HELLO, { ...common, meta: hello, payload: smallPayload }),
    frames(FrameType.WELCOME, { ...common, meta: welcome, payload: smallPayload }),
    frames(FrameType.PING, ping),
    frames(FrameType.PONG, ping),
    frames(FrameType.CREDIT, { ...common, id: anyToken, meta: noMeta, payload: octets(8, 8) }),
    frames(FrameType.GOAWAY, { ...common, meta: optional(reason), payload: none }),
    frames(FrameType.CLOSE, { ...common, meta: optional(reason), payload: smallPayload }),
  );
}

function sessionFrame(): Arbitrary<Frame> {
  const common = { flags: zero, session: id, id: zero };
  const open = fc
    .tuple(
      fc.record({ name: text(1, 300) }),
      optional({ deadline: positive(), metadata, sessionCredit }),
    )
    .map((parts): Meta => Object.assign({}, ...parts));
  return fc.oneof(
    frames(FrameType.OPEN, { ...common, meta: open, payload: smallPayload }),
    frames(FrameType.OPENED, {
      ...common,
      meta: optional({ metadata, sessionCredit }),
      payload: smallPayload,
    }),
    frames(FrameType.END, { ...common, meta: optional(reason), payload: smallPayload }),
    frames(FrameType.CREDIT, { ...common, meta: noMeta, payload: octets(8, 8) }),
  );
}

function positive(): Arbitrary<number> {
  return fc.integer({ min: 1, max: 0xffffffff });
}

function messageFrame(): Arbitrary<Frame> {
  const { MORE, REPLY, ONEWAY, STREAM, END } = Flag;
  const body = { total: u53, metadata };
  const rejectCode = fc.integer({ min: 0x03, max: 0xff }).filter((group) => group !== 0x06);
  const reject = merged(
    fc.tuple(rejectCode, fc.nat(0xff)).map(([group, number]) => ({ code: group * 256 + number })),
    optional({ ...body, text: reason.text, retryAfter: u32 }),
  );
  const send = optional({ ...body, deadline: positive(), key: octets(1, 64) });
  return fc.oneof(
    message(FrameType.SEND, send, [0, ONEWAY, STREAM]),
    // The most common form of a message.
    message(FrameType.SEND, fc.record({ deadline: positive() }), [0]),
    message(FrameType.ITEM, optional(body), [0, REPLY, END]),
    message(FrameType.ACCEPT, optional(body), [REPLY, REPLY | STREAM]),
    message(FrameType.REJECT, reject, [REPLY]),
    message(FrameType.FRAG, noMeta, [0, REPLY], octets(1, 40)),
    frames(FrameType.CANCEL, { flags: zero, session: id, id, meta: noMeta, payload: none }),
    frames(FrameType.CREDIT, {
      flags: fc.constantFrom(0, REPLY),
      session: id,
      id,
      meta: noMeta,
      payload: octets(4, 4),
    }),
  );

  function message(
    type: number,
    meta: Arbitrary<Meta>,
    flags: number[],
    payload = smallPayload,
  ): Arbitrary<Frame> {
    const common = { session: id, id, meta };
    const more = flags.map((bits) => bits | MORE);
    return fc.oneof(
      {
        weight: 3,
        arbitrary: frames(type, { ...common, flags: fc.constantFrom(...flags), payload }),
      },
      {
        weight: 1,
        arbitrary: frames(type, {
          ...common,
          flags: fc.constantFrom(...more),
          payload: largePayload,
        }),
      },
    );
  }
}
