import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { Code } from '../../../src/endpoint/index.js';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectException,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { toException, toRejection } from '../../../src/nest/common/error-mapping.js';
import { jsonLimitsOf, readJson } from '../../../src/nest/common/json.js';
import { afterTest } from '../../support/after-test.js';
import { failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class DeepController {
  runs = 0;

  @MessagePattern('take')
  take(@Payload() _value: unknown): Buffer {
    this.runs += 1;
    return Buffer.from('[]');
  }

  @MessagePattern('give')
  give(): Buffer {
    return Buffer.from(DEEP);
  }

  @MessagePattern('give items')
  async *giveItems(): AsyncGenerator<Buffer> {
    yield Buffer.from('1');
    yield Buffer.from(DEEP);
  }
}

const DEEP = '['.repeat(65) + ']'.repeat(65);
const limits = jsonLimitsOf({});

function read(text: string, options = {}): unknown {
  return readJson(Buffer.from(text), jsonLimitsOf(options));
}

describe('the JSON of the other side', () => {
  it('passes as a table of 100,000 rows', () => {
    const row = { id: 1, name: 'a', at: '2026', n: 1.5, ok: true, none: null, tags: 'x', last: 0 };
    const table = Array.from({ length: 100_000 }, () => row);

    expect(readJson(Buffer.from(JSON.stringify(table)), limits)).toHaveLength(100_000);
  });

  it.each([
    ['deep', '['.repeat(65) + ']'.repeat(65)],
    ['deep in objects', '{"a":'.repeat(65) + '1' + '}'.repeat(65)],
    ['deep without an end', '['.repeat(8 * 2 ** 20)],
  ])('is refused before it is parsed if it is too %s', (_what, text) => {
    expect(() => read(text)).toThrow(/more than 64 deep, .*maxJsonDepth.*raise maxJsonDepth/);
  });

  it('may be as deep as its limit', () => {
    expect(() => read('['.repeat(64) + ']'.repeat(64))).not.toThrow();
  });

  it.each([
    ['arrays', `[${'[],'.repeat(5_000_000)}[]]`],
    ['numbers', `[${'1,'.repeat(1_000_000)}1]`],
    ['members', `[${'{"a":1,"b":2},'.repeat(400_000)}1]`],
  ])('is refused before it is parsed if it has too many %s', (_what, text) => {
    expect(() => read(text)).toThrow(/more than 1000000 values, .*raise maxJsonValues/);
  });

  it('counts neither brackets nor commas within strings', () => {
    const text = JSON.stringify(['[{,'.repeat(50), '\\"[[', '"'.repeat(9), { '[[,': '\\' }]);

    expect(read(text, { maxJsonDepth: 2, maxJsonValues: 6 })).toEqual(JSON.parse(text));
  });

  it.each([
    ['{"a":1,"b":[2,3]}', 5],
    ['[1,2,3]', 4],
    ['[[1],[2]]', 5],
  ])('counts the values of %s as %d', (text, values) => {
    expect(() => read(text, { maxJsonDepth: 3, maxJsonValues: values })).not.toThrow();
    expect(() => read(text, { maxJsonDepth: 3, maxJsonValues: values - 1 })).toThrow('values');
  });

  it.each([
    ['a lone octet', [0x22, 0xff, 0x22]],
    ['half a surrogate pair', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a form that is too long', [0x22, 0xc0, 0xaf, 0x22]],
    ['an unfinished character', [0x22, 0xe2, 0x82, 0x22]],
  ])('is refused if it is not UTF-8: %s', (_what, octets) => {
    expect(() => readJson(Buffer.from(octets), limits)).toThrow('not UTF-8');
  });

  it.each([
    '{"__proto__":{"isAdmin":true}}',
    '[1,{"a":[{"__proto__":1}]}]',
    '{"\\u005f_proto__":null}',
    '{"__pr\\u006fto__":{}}',
    '{"\\u005F\\u005F\\u0070\\u0072\\u006f\\u0074\\u006F\\u005f\\u005f":0}',
  ])('is refused if it names a prototype: %s', (text) => {
    expect(() => read(text)).toThrow('"__proto__"');
  });

  it.each(['"__proto__"', '["__proto__",{"a":"__proto__"}]', '{"proto":"\\u0061"}'])(
    'may have the words in a value: %s',
    (text) => expect(read(text)).toEqual(JSON.parse(text)),
  );
});

async function start(server: InterconnectServerOptions = {}): Promise<Loopback> {
  const loopback = await Loopback.start({ controllers: [DeepController], server });
  afterTest(() => loopback.close());
  return loopback;
}

describe('JSON beyond the limits', () => {
  it('is refused as a request before the handler, which its caller is told', async () => {
    const loopback = await start({ encoding: 'json' });
    const client = loopback.client();

    const error = await failureOf(InterconnectException, client.request('take', Buffer.from(DEEP)));

    expect(error).toMatchObject({ code: Code.INVALID, executed: 'no' });
    expect(error.reason).toContain('maxJsonDepth');
    expect(loopback.app.get(DeepController).runs).toBe(0);
  });

  it.each(['give', 'give items'])('fails the call as an answer: %s', async (pattern) => {
    const loopback = await start();
    const client = loopback.client({ encoding: 'json' });

    const error = await failureOf(InterconnectError, lastValueFrom(client.send(pattern, 1)));

    expect(error.message).toContain('maxJsonDepth');
  });
});

describe('the details of an exception', () => {
  function received(form: 'json' | 'text', data: Buffer) {
    const metadata = { 'rpc-exception': form };
    return toException({ accepted: false, code: Code.FAILED, reason: 'why', data, metadata });
  }

  it.each([
    ['too deep', 'json', Buffer.from('['.repeat(65) + ']'.repeat(65))],
    ['too long', 'json', Buffer.from(`["${'x'.repeat(64 * 1024)}"]`)],
    ['too long as a text', 'text', Buffer.alloc(64 * 1024 + 1, 'x')],
    ['not UTF-8', 'json', Buffer.from([0x22, 0xff, 0x22])],
    ['not UTF-8 as a text', 'text', Buffer.from([0xff])],
  ] as const)('stay bytes if they are %s', (_what, form, data) => {
    const { data: bytes, reason } = received(form, data);

    expect(bytes).toBe(data);
    expect(reason).toBe('why');
  });

  it('do not travel if they are more than 64 KiB, and the rejection says how many', () => {
    const fits = toRejection(new RpcException('x'.repeat(64 * 1024)));
    const text = toRejection(new RpcException('x'.repeat(64 * 1024 + 1)));
    const object = toRejection(new RpcException({ message: 'why', rows: 'x'.repeat(64 * 1024) }));

    expect(fits.data).toHaveLength(64 * 1024);
    expect(text).toMatchObject({ leftOut: 64 * 1024 + 1 });
    expect(text.data).toBeUndefined();
    expect(object).toMatchObject({ reason: 'why', leftOut: 64 * 1024 + 27 });
  });
});

describe('the limits of JSON', () => {
  it.each([
    ['maxJsonDepth', 0, 'maxJsonDepth must be an integer from 1 to 1000, and is 0'],
    ['maxJsonDepth', 1001, 'maxJsonDepth must be'],
    ['maxJsonValues', 1.5, 'maxJsonValues must be an integer from 1 to 2147483647, and is 1.5'],
    ['maxJsonValues', '7', 'maxJsonValues must be'],
  ])('are checked when a client or server is made: %s is not %p', (name, value, text) => {
    const options = { [name]: value };

    expect(() => new InterconnectClient(options)).toThrow(text);
    expect(() => new InterconnectServer(options)).toThrow(text);
  });
});
