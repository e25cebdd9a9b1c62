import { describe, expect, it } from '@jest/globals';
import { RpcException } from '@nestjs/microservices';
import { Code } from '../../../src/endpoint/index.js';
import {
  toException,
  toRejection,
  toRejectionOfThrown,
} from '../../../src/nest/common/error-mapping.js';

/** What `getError()` gives at the caller for what a handler's filters let through. */
function carry(error: unknown): unknown {
  const { code, reason, data = Buffer.alloc(0), metadata = {} } = toRejection(error);
  return toException({ accepted: false, code, reason, data, metadata }).getError();
}

/** A REJECT as a hostile server might send it. */
function receive(json: string): unknown {
  return toException({
    accepted: false,
    code: Code.FAILED,
    reason: 'the reason',
    data: Buffer.from(json),
    metadata: { 'rpc-exception': 'json' },
  }).getError();
}

describe('what an RpcException carries', () => {
  it.each([
    ['an empty text', ''],
    ['a text in any script', 'Größe 大きさ 🙂'],
    ['a text longer than a reason can be', 'x'.repeat(5000)],
    ['an empty object', {}],
    ['an object that only looks like what Nest makes of an error', { status: 'late', message: '' }],
    ['an array', [1, 'two', null]],
    ['an object that has more than that', { status: 'error', message: 'late', retryAfter: 3 }],
    ["an object that has an application's code", { code: 0x9000, message: 'own', left: 1 }],
    ['an object that only looks like a Buffer', { a: { type: 'Buffer', data: [1, 2] } }],
    ['Buffers at any depth', { a: [{ b: Buffer.from([1, 2]) }], c: Buffer.alloc(0) }],
    ['a Uint8Array, as a Buffer', { a: Buffer.from([7]) }],
  ])('comes back: %s', (_what, carried) => {
    expect(carry(new RpcException(carried))).toEqual(carried);
  });

  it('comes back as text where JSON has no form for it', () => {
    expect(carry({ size: 2n ** 64n, at: new Date(0), cause: new TypeError('why') })).toEqual({
      size: '18446744073709551616',
      at: '1970-01-01T00:00:00.000Z',
      cause: { name: 'TypeError', message: 'why' },
    });
  });

  it('leaves the reason when it refers to itself', () => {
    const circle: { message: string; self?: unknown } = { message: 'round' };
    circle.self = circle;

    expect(carry(circle)).toEqual({ code: Code.FAILED, message: 'round' });
  });

  it("has Nest's own words for a reason where it has none", () => {
    expect(toRejection(new RpcException({ code: 7 })).reason).toBe('Rpc Exception');
  });

  it('never has a stack', () => {
    expect(JSON.stringify(carry(new RpcException(new Error('inner'))))).not.toContain('stack');
  });
});

describe('an error that no filter has seen', () => {
  it.each([new Error('secret'), 'secret', { secret: 1 }, undefined])('is masked: %p', (thrown) => {
    expect(toRejectionOfThrown(thrown)).toEqual({
      code: Code.FAILED,
      reason: 'Internal server error',
      isMasked: true,
    });
  });

  it.each([undefined, null])('is masked when a filter gave no value at all: %p', (given) => {
    expect(toRejection(given)).toMatchObject({ isMasked: true });
  });
});

describe('a rejection of which more is known than its code says', () => {
  it.each(['yes', 'maybe'] as const)('says that the handler ran: %s', (executed) => {
    const rest = { reason: '', data: Buffer.alloc(0), metadata: {} };

    const error = toException({ accepted: false, code: Code.REFUSED, executed, ...rest });

    expect(error.executed).toBe(executed);
  });
});

describe('a code that this version does not know', () => {
  it('leaves open whether the handler ran', () => {
    const outcome = { accepted: false, reason: '', data: Buffer.alloc(0), metadata: {} } as const;

    expect(toException({ ...outcome, code: 0x0701 }).executed).toBe('maybe');
  });
});

describe('a payload from a hostile server', () => {
  it('cannot bring a __proto__ along', () => {
    const error = receive(
      '{"a":1,"__proto__":{"isAdmin":true},"deep":{"__proto__":{"isAdmin":true}}}',
    );

    expect(error).toEqual({ a: 1, deep: {} });
    expect(Object.assign({}, error)).not.toHaveProperty('isAdmin');
  });

  it("cannot reach a merge's target through constructor.prototype", () => {
    expect(receive('{"a":1,"constructor":{"prototype":{"isAdmin":true}}}')).toEqual({ a: 1 });
  });

  it.each(['', '{', 'null', '7', '"text"', '['.repeat(100_000)])(
    'that is no object leaves code and reason: %.20s',
    (json) => {
      expect(receive(json)).toMatchObject({ code: Code.FAILED, message: 'the reason' });
    },
  );
});
