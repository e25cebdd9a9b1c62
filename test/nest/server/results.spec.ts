import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { MessageHandler } from '@nestjs/microservices';
import { runInNewContext } from 'node:vm';
import { defer, firstValueFrom, from, of } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { all, failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const BYTES = [0, 1, 0xfe, 0xff];
let byHand = 0;

class ReportDto {
  rows = 3;
}

@Controller()
class ResultsController {
  @MessagePattern('nothing')
  nothing(): void {}

  @MessagePattern('null')
  null(): null {
    return null;
  }

  @MessagePattern('promise of nothing')
  async promiseOfNothing(): Promise<void> {}

  @MessagePattern('buffer')
  buffer(): Buffer {
    return Buffer.from(BYTES);
  }

  @MessagePattern('promise of a buffer')
  async promiseOfBuffer(): Promise<Buffer> {
    return Buffer.from(BYTES);
  }

  @MessagePattern('uint8array')
  uint8Array(): Uint8Array {
    return Uint8Array.from([9, ...BYTES, 9]).subarray(1, 5);
  }

  @MessagePattern('arraybuffer')
  arrayBuffer(): ArrayBuffer {
    return Uint8Array.from(BYTES).buffer;
  }

  @MessagePattern('dataview')
  dataView(): DataView {
    return new DataView(Uint8Array.from([9, ...BYTES]).buffer, 1);
  }

  @MessagePattern('observable')
  observable(): Observable<Buffer> {
    return of(Buffer.from(BYTES));
  }

  @MessagePattern('late observable')
  lateObservable(): Observable<Buffer> {
    return defer(() => from(Promise.resolve(Buffer.from(BYTES))));
  }

  @MessagePattern('record')
  record(): unknown {
    return new InterconnectRecordBuilder(Buffer.from(BYTES)).build();
  }

  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    if (!Buffer.isBuffer(data)) throw new TypeError('A handler gets a Buffer.');
    return data;
  }

  @MessagePattern('settles itself')
  settlesItself(@Ctx() context: InterconnectContext): string {
    context.getMessage().respond(Buffer.from(BYTES));
    return 'is not looked at';
  }

  @MessagePattern('settles itself and throws')
  settlesItselfAndThrows(@Ctx() context: InterconnectContext): never {
    context.getMessage().respond(Buffer.from(BYTES));
    throw new InterconnectException(Code.REFUSED, 'too late');
  }

  @MessagePattern('string')
  string(): string {
    return 'text';
  }

  @MessagePattern('dto')
  dto(): ReportDto {
    return new ReportDto();
  }

  @MessagePattern('array')
  array(): Buffer[] {
    return [Buffer.from(BYTES)];
  }

  @MessagePattern('observable of a string')
  observableOfString(): Observable<string> {
    return of('text');
  }
}

let loopback: Loopback;
let client: InterconnectClient;

beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [ResultsController] });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client();
});

const request = Buffer.from('request');

describe('a handler that gives nothing', () => {
  it.each(['nothing', 'null', 'promise of nothing'])(
    'lets send() emit one empty Buffer and complete: %s',
    async (pattern) => {
      const values = await all(client.send(pattern, request));

      expect(values).toEqual([Buffer.alloc(0)]);
      expect(Buffer.isBuffer(values[0])).toBe(true);
    },
  );
});

describe('a handler that gives bytes', () => {
  it.each([
    'buffer',
    'promise of a buffer',
    'uint8array',
    'arraybuffer',
    'dataview',
    'observable',
    'late observable',
    'record',
  ])('lets send() emit them as one Buffer and complete: %s', async (pattern) => {
    const values = await all(client.send(pattern, request));

    expect(values).toEqual([Buffer.from(BYTES)]);
    expect(Buffer.isBuffer(values[0])).toBe(true);
  });
});

describe('a handler that has settled the message itself', () => {
  it('may return what it likes: nothing is sent or logged', async () => {
    expect(await firstValueFrom(client.send('settles itself', request))).toEqual(
      Buffer.from(BYTES),
    );
    expect(loopback.log.find('error', 'settles itself')).toEqual([]);
  });

  it('may throw: nothing more is sent', async () => {
    expect(await firstValueFrom(client.send('settles itself and throws', request))).toEqual(
      Buffer.from(BYTES),
    );
    expect(loopback.log.find('error', 'cannot be sent')).toEqual([]);
  });
});

describe('a handler that gives anything else', () => {
  it.each([
    ['string', 'a string'],
    ['dto', 'an object (ReportDto)'],
    ['array', 'an array'],
    ['observable of a string', 'a string'],
  ])('rejects, and the log names pattern and type: %s', async (pattern, type) => {
    const error = await failureOf(InterconnectException, client.send(pattern, request));

    expect(error.code).toBe(Code.FAILED);
    expect(error.message).toContain(`The handler of "${pattern}" returned ${type}`);
    expect(loopback.log.find('error', `"${pattern}" returned ${type}`)).toHaveLength(1);
  });
});

describe('a function given to addHandler', () => {
  async function resultOf(handler: unknown): Promise<unknown> {
    const pattern = `by hand ${(byHand += 1)}`;
    loopback.server.addHandler(pattern, handler as MessageHandler);
    return firstValueFrom(client.send(pattern, request));
  }

  it('may answer without a promise', async () => {
    expect(await resultOf(() => Buffer.from(BYTES))).toEqual(Buffer.from(BYTES));
    expect(await resultOf(() => of(Buffer.from(BYTES)))).toEqual(Buffer.from(BYTES));
  });

  it('that throws is masked: no filter has seen what', async () => {
    const error = await failureOf(
      InterconnectException,
      resultOf(() => {
        throw new Error('secret');
      }),
    );

    expect(error.message).toBe('Internal server error');
    expect(loopback.log.find('error', 'failed: secret')).toHaveLength(1);
  });

  it('may return a record whose data is not bytes only to be refused', async () => {
    const text: unknown = 'text';
    const record = new InterconnectRecordBuilder(text as Buffer).build();

    const error = await failureOf(
      InterconnectException,
      resultOf(() => record),
    );

    expect(error.message).toContain('returned a record of a string');
  });
});

describe('what a handler receives', () => {
  it.each([
    ['an empty Buffer', Buffer.alloc(0)],
    ['a Buffer', Buffer.from(BYTES)],
    ['a part of a Uint8Array', Uint8Array.from([9, ...BYTES, 9]).subarray(1, 5)],
    ['an ArrayBuffer', Uint8Array.from(BYTES).buffer],
    ['a Uint8Array of another realm', runInNewContext('Uint8Array.of(0, 1, 0xfe, 0xff)')],
    ['a DataView', new DataView(Uint8Array.from([9, ...BYTES]).buffer, 1)],
  ])('is a Buffer of the bytes that were sent as %s', async (_kind, data) => {
    const echoed = await firstValueFrom(client.send('echo', data));

    expect(echoed).toEqual(data.byteLength === 0 ? Buffer.alloc(0) : Buffer.from(BYTES));
  });
});
