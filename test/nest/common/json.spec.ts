import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, NotFoundException } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { lastValueFrom, of, tap } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectError,
  InterconnectException,
  InterconnectRecordBuilder,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { thrown } from '../../support/events.js';
import { all, failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class JsonController {
  readonly seen: unknown[] = [];

  @MessagePattern({ cmd: 'sum' })
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }

  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('observable')
  observable(): Observable<object> {
    return of({ a: 1 });
  }

  @MessagePattern('many')
  many(): Observable<number> {
    return of(1, 2, 3);
  }

  @MessagePattern('nothing')
  nothing(): void {}

  @MessagePattern('null')
  null(): null {
    return null;
  }

  @MessagePattern('record')
  record(@Payload() data: unknown, @Ctx() context: InterconnectContext): unknown {
    this.seen.push({ ...context.getMetadata() });
    return new InterconnectRecordBuilder<unknown>({ got: data }).setMetadata({ v: '1' }).build();
  }

  @EventPattern('noted')
  noted(@Payload() data: object): void {
    this.seen.push(data);
  }

  @MessagePattern('rpc text')
  rpcText(): never {
    throw new RpcException('bad offset');
  }

  @MessagePattern('rpc object')
  rpcObject(): never {
    throw new RpcException({
      code: 'E_QUOTA',
      error: 'quota',
      getError: 'mine',
      toString: 'mine',
      executed: 1,
    });
  }

  @MessagePattern('plain')
  plain(): never {
    throw new NotFoundException('secret');
  }

  @MessagePattern('own')
  own(): never {
    throw new InterconnectException(0x9001, 'own code');
  }

  @MessagePattern('function')
  function(): unknown {
    return () => {};
  }

  @MessagePattern('bigint')
  bigint(): unknown {
    return { n: 1n };
  }
}

let loopback: Loopback;
let client: InterconnectClient<unknown>;
let controller: JsonController;

beforeAll(async () => {
  loopback = await Loopback.start({
    controllers: [JsonController],
    server: { encoding: 'json' },
  });
  controller = loopback.app.get(JsonController);
});
afterAll(() => loopback.close());
beforeEach(() => {
  controller.seen.length = 0;
  client = loopback.client({ encoding: 'json' });
});

/** Changes what callers get, as Nest's own clients let it. */
class PickyClient extends InterconnectClient<unknown> {
  protected override serializeResponse(response: unknown): unknown {
    if (response === 2) throw new RangeError('not two');
    return response;
  }
}

describe("encoding: 'json'", () => {
  it("fails with a subclass's own error where that takes no value of a stream", async () => {
    const picky = new PickyClient({ host: '127.0.0.1', port: loopback.port, encoding: 'json' });
    const seen: unknown[] = [];

    const error = await failureOf(
      RangeError,
      all(picky.send('many', {}).pipe(tap((n) => seen.push(n)))),
    );

    expect([error.message, seen]).toEqual(['not two', [1]]);
    await picky.close();
  });

  it('carries any value that JSON has a form for, both ways', async () => {
    const values = [0, '', 'text', true, [1, [2]], { a: { b: null } }, 'größe 大 🙂'];

    expect(await client.request<number>({ cmd: 'sum' }, [1, 2, 3])).toBe(6);
    for (const value of values) expect(await client.request('echo', value)).toEqual(value);
    expect(await all(client.send('observable', {}))).toEqual([{ a: 1 }]);
  });

  it('does to a Buffer and a Date what JSON does, as TCP', async () => {
    expect(await client.request('echo', Buffer.from([1, 2]))).toEqual({
      type: 'Buffer',
      data: [1, 2],
    });
    expect(await client.request('echo', new Date(0))).toBe('1970-01-01T00:00:00.000Z');
  });

  it('gives one undefined for nothing, and null for null', async () => {
    expect(await all(client.send('nothing', {}))).toStrictEqual([undefined]);
    expect(await all(client.send('null', {}))).toStrictEqual([null]);
  });

  it('carries the value of a record, with its metadata beside it', async () => {
    const record = new InterconnectRecordBuilder<unknown>({ a: 1 }).setMetadata({ id: '7' });

    expect(await client.request('record', record.build())).toEqual({ got: { a: 1 } });
    expect(controller.seen).toEqual([{ id: '7' }]);
  });

  it('carries the value of a record that is returned, with its metadata beside it', async () => {
    const record = new InterconnectRecordBuilder({ a: 1 }).setMetadata({ version: '3' }).build();
    loopback.server.addHandler('record back', async () => record);
    const connection = await client.connect();

    const outcome = await connection.openSession('record back').send(Buffer.from('1'));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('{"a":1}') });
    expect({ ...outcome.metadata }).toEqual({ version: '3' });
  });

  it('carries events', async () => {
    await lastValueFrom(client.emit('noted', { a: 1 }));

    expect(controller.seen).toEqual([{ a: 1 }]);
  });

  it.each([
    [() => {}, 'a function. JSON has no form for it.'],
    [{ n: 1n }, 'BigInt'],
  ])('refuses what JSON has no form for: %p', async (data, text) => {
    const error = await failureOf(InterconnectError, client.request('echo', data));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.message).toContain(text);
  });

  it.each(['function', 'bigint'])('refuses such a result, at both sides: %s', async (pattern) => {
    const error = await failureOf(InterconnectException, client.request(pattern, {}));

    expect(error.message).toContain(`The handler of "${pattern}" returned`);
    expect(loopback.log.find('error', `The handler of "${pattern}" returned`)).toHaveLength(1);
  });
});

describe("an error with encoding: 'json'", () => {
  it.each([
    ['rpc text', { status: 'error', message: 'bad offset' }],
    ['plain', { status: 'error', message: 'Internal server error' }],
    [
      'unknown',
      {
        status: 'error',
        message: 'There is no matching message handler defined in the remote service.',
      },
    ],
    ['own', { code: 0x9001, message: 'own code' }],
  ])('shows what Nest has for TCP, in its fields and as JSON: %s', async (pattern, fields) => {
    const error = await failureOf(InterconnectException, client.request(pattern, {}));

    expect(error).toMatchObject(fields);
    expect(JSON.parse(JSON.stringify(error))).toEqual(fields);
  });

  it('shows the fields of an object, and stays an exception that can be asked', async () => {
    const error: unknown = await failureOf(InterconnectException, client.request('rpc object', {}));

    expect(error).toBeInstanceOf(RpcException);
    expect(error).toMatchObject({ code: 'E_QUOTA', error: 'quota', executed: 1 });
    expect((error as RpcException).getError()).toEqual({
      code: 'E_QUOTA',
      error: 'quota',
      getError: 'mine',
      toString: 'mine',
      executed: 1,
    });
    expect(String(error)).toContain('Exception');
  });

  it('is the same through emit()', async () => {
    const error = await failureOf(InterconnectException, client.emit('rpc text', {}));

    expect(JSON.stringify(error)).toBe('{"status":"error","message":"bad offset"}');
  });
});

describe('two sides that do not agree', () => {
  it('are told so: bytes to a server of JSON', async () => {
    const binary = loopback.client();

    const error = await failureOf(
      InterconnectException,
      binary.send('echo', Buffer.from('not json')),
    );

    expect(error).toMatchObject({ code: Code.INVALID, executed: 'no' });
    expect(error.reason).toContain('The payload for "echo" cannot be decoded');
    expect(error.reason).toContain('Set the same encoding on both sides.');
    expect(loopback.log.find('warn', 'The payload for "echo"')).not.toEqual([]);
  });

  it('are told so: bytes from a server to a client of JSON', async () => {
    @Controller()
    class BinaryController {
      @MessagePattern('bytes')
      bytes(): Buffer {
        return Buffer.from('not json');
      }
    }
    const other = await Loopback.start({ controllers: [BinaryController] });

    const error = await failureOf(
      InterconnectError,
      other.client({ encoding: 'json' }).send('bytes', {}),
    );

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'yes' });
    expect(error.message).toContain('The response of "bytes" cannot be decoded');
    await other.close();
  });

  it.each<[unknown, string]>([
    ['xml', '"xml"'],
    [1n, '1'],
    [{ json: true }, '[object Object]'],
  ])('cannot be of an encoding that there is not: %p', (encoding, shown) => {
    const options = { encoding: encoding as 'json' };
    const expected: unknown = expect.objectContaining({
      code: 'IC_ERR_OPTION',
      message: `encoding is 'binary' or 'json', and not ${shown}.`,
    });

    expect(thrown(() => new InterconnectClient(options))).toEqual(expected);
    expect(thrown(() => new InterconnectServer(options))).toEqual(expected);
  });

  it.each([
    ['serializer', 'serialize'],
    ['deserializer', 'deserialize'],
  ])('cannot be of a %s without its method', (option, method) => {
    for (const value of [{}, 'text', null]) {
      const options = { [option]: value } as object;
      const text = `${option} must be an object with a method "${method}", and is`;

      expect(() => new InterconnectClient(options)).toThrow(text);
      expect(thrown(() => new InterconnectServer(options))).toMatchObject({
        code: 'IC_ERR_OPTION',
      });
    }
  });
});
