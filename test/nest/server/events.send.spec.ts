/** `send()` to an event handler, side by side with Nest's TCP transport; and `emit()`, which wants no value. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import type { INestMicroservice } from '@nestjs/common';
import {
  ClientTCP,
  EventPattern,
  MessagePattern,
  Payload,
  RpcException,
  ServerTCP,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { FakeInterconnectClient } from 'nestjs-interconnect/testing';
import type { AddressInfo, Server } from 'node:net';
import { EMPTY, from, of } from 'rxjs';
import type { Observable } from 'rxjs';
import { InterconnectException, InterconnectRecordBuilder } from '../../../src/nest/index.js';
import type { InterconnectClient } from '../../../src/nest/index.js';
import { all, failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);

@Controller()
class FirstController {
  seen: string[] = [];

  @EventPattern('one value')
  oneValue(@Payload() data: { id: number }): object {
    return { stored: data.id };
  }

  @EventPattern('several values')
  severalValues(@Payload() _data: object): Observable<number> {
    return from([1, 2, 3]);
  }

  @EventPattern('a promise')
  async aPromise(@Payload() _data: object): Promise<string> {
    return 'done';
  }

  @EventPattern('no value')
  noValue(@Payload() _data: object): Observable<never> {
    return EMPTY;
  }

  @EventPattern('fails')
  fails(@Payload() _data: object): object {
    throw new RpcException({ quota: 3 });
  }

  @EventPattern('two')
  two(@Payload() _data: object): object {
    return { by: 'first' };
  }

  @EventPattern('three')
  async three(@Payload() _data: object): Promise<string> {
    return 'first';
  }

  @EventPattern('two without a value')
  twoWithout(@Payload() _data: object): void {
    this.seen.push('first');
  }

  @EventPattern('two streams')
  async *twoStreams(@Payload() _data: object): AsyncGenerator<string> {
    this.seen.push('first begins');
    yield 'not looked at';
    this.seen.push('first ends');
  }

  @MessagePattern('message')
  message(@Payload() _data: object): object {
    return { circle: 7n };
  }
}

@Controller()
class SecondController {
  @EventPattern('two')
  two(@Payload() _data: object): Observable<number> {
    return of(1, 2);
  }

  @EventPattern('three')
  three(@Payload() _data: object): null {
    return null;
  }

  @EventPattern('two without a value')
  async twoWithout(@Payload() _data: object): Promise<void> {}

  @EventPattern('two streams')
  twoStreams(@Payload() _data: object): string {
    return 'second';
  }
}

@Controller()
class ThirdController {
  @EventPattern('three')
  three(@Payload() _data: object): number[] {
    return [3];
  }
}

@Controller()
class BytesController {
  @EventPattern('one value')
  oneValue(@Payload() data: Buffer): Buffer {
    return Buffer.concat([data, bytes('!')]);
  }

  @EventPattern('several values')
  severalValues(@Payload() _data: Buffer): Observable<Buffer> {
    return from(['a', 'b'].map(bytes));
  }

  @EventPattern('a generator')
  async *generator(@Payload() _data: Buffer): AsyncGenerator<Buffer> {
    yield* ['a', 'b'].map(bytes);
  }

  @EventPattern('no value')
  noValue(@Payload() _data: Buffer): Observable<never> {
    return EMPTY;
  }

  @EventPattern('nothing')
  nothing(@Payload() _data: Buffer): void {}

  @EventPattern('an object')
  anObject(@Payload() _data: Buffer): object {
    return { id: 7 };
  }

  @EventPattern('two of bytes')
  two(@Payload() _data: Buffer): Buffer {
    return bytes('first');
  }

  @EventPattern('two of nothing')
  twoOfNothing(@Payload() _data: Buffer): void {}
}

@Controller()
class MoreBytesController {
  @EventPattern('two of bytes')
  two(@Payload() _data: Buffer): Buffer {
    return bytes('second');
  }

  @EventPattern('two of nothing')
  twoOfNothing(@Payload() _data: Buffer): null {
    return null;
  }
}

const CONTROLLERS = [FirstController, SecondController, ThirdController];

/** The same controllers behind Nest's TCP transport, and a client of it. */
async function startTcp(): Promise<{ app: INestMicroservice; client: ClientTCP }> {
  const strategy = new ServerTCP({ host: '127.0.0.1', port: 0 });
  const module = await Test.createTestingModule({ controllers: CONTROLLERS }).compile();
  const app = module.createNestMicroservice({ strategy });
  await app.listen();
  const { port } = strategy.unwrap<Server>().address() as AddressInfo;
  return { app, client: new ClientTCP({ host: '127.0.0.1', port }) };
}

let close: () => Promise<unknown> = async () => undefined;
afterEach(() => close());

describe('send() to event handlers, with JSON', () => {
  let loopback: Loopback;
  let client: InterconnectClient<unknown>;

  beforeEach(async () => {
    loopback = await Loopback.start({ controllers: CONTROLLERS, server: { encoding: 'json' } });
    client = loopback.client({ encoding: 'json' });
    close = () => loopback.close();
  });

  it.each([
    'one value',
    'several values',
    'a promise',
    'no value',
    'two',
    'three',
    'two without a value',
  ])('gives what it gives over Nest TCP: %s', async (pattern) => {
    const tcp = await startTcp();
    close = async () => {
      tcp.client.close();
      await Promise.all([loopback.close(), tcp.app.close()]);
    };

    const expected: unknown = await all(tcp.client.send(pattern, { id: 7 }));

    expect(await all(client.send(pattern, { id: 7 }))).toEqual(expected);
  });

  it('gives the result of each of several handlers', async () => {
    expect(await all(client.send('two', {}))).toEqual([{ current: { by: 'first' }, next: 2 }]);
    expect(await client.request('three', {})).toEqual({
      current: 'first',
      next: { current: null, next: [3] },
    });
  });

  it('fails as the handler does, and reads streams of several to their end', async () => {
    const error = await failureOf(InterconnectException, client.send('fails', {}));
    expect(error.getError()).toEqual({ quota: 3 });

    expect(await all(client.send('two streams', {}))).toEqual([{ next: 'second' }]);
    expect(loopback.app.get(FirstController).seen).toEqual(['first begins', 'first ends']);
  });

  it('is not what emit() does: that completes, whatever the handlers give', async () => {
    const patterns = ['one value', 'several values', 'no value', 'two', 'three', 'two streams'];
    for (const pattern of patterns) {
      expect(await all(client.emit(pattern, {}))).toEqual([undefined]);
    }
    // JSON has no form for what this one returns, and nobody asks for it.
    expect(await all(client.emit('message', {}))).toEqual([undefined]);
    expect(await failure(client.emit('fails', {}))).toBeInstanceOf(InterconnectException);
  });
});

describe('send() to event handlers, in binary', () => {
  let loopback: Loopback;
  let client: InterconnectClient;
  const answer = (pattern: string) => all(client.send(pattern, bytes('x')));

  beforeEach(async () => {
    loopback = await Loopback.start({ controllers: [BytesController, MoreBytesController] });
    client = loopback.client();
    close = () => loopback.close();
  });

  it('gives what the handler returns', async () => {
    expect(await answer('one value')).toEqual([bytes('x!')]);
    expect(await answer('several values')).toEqual([bytes('a'), bytes('b')]);
    expect(await answer('a generator')).toEqual([bytes('a'), bytes('b')]);
    expect(await answer('no value')).toEqual([]);
    expect(await answer('nothing')).toEqual([bytes('')]);
    expect(await answer('two of nothing')).toEqual([bytes('')]);
    expect(await client.request('one value', bytes('y'))).toEqual(bytes('y!'));
  });

  it('fails where the handler returns no bytes, as with a message handler', async () => {
    expect(await failure(client.send('an object', bytes('x')))).toMatchObject({
      message: expect.stringContaining('The handler of "an object" returned an object'),
    });
  });

  it('fails where several handlers return bytes, which are no answer together', async () => {
    expect(await failure(client.send('two of bytes', bytes('x')))).toMatchObject({
      message: expect.stringContaining(
        'is one of several handlers of its event, whose results together have no form as bytes',
      ),
    });
  });

  it('is not what emit() does: that completes, whatever the handlers give', async () => {
    for (const pattern of ['one value', 'a generator', 'an object', 'two of bytes', 'no value']) {
      expect(await all(client.emit(pattern, bytes('x')))).toEqual([undefined]);
    }
    expect(loopback.log.find('error', 'The handler of')).toEqual([]);
  });

  it('has no value to give in a one-way message, which is no failure', async () => {
    const record = new InterconnectRecordBuilder(bytes('x')).setOneWay().build();
    await all(client.send('two of bytes', record));
    await all(client.send('nothing', bytes('x')));

    expect(loopback.log.find('error', 'The handler of')).toEqual([]);
  });

  it('goes in a session of its own, so that a message needs no mark', async () => {
    const names: string[] = [];
    loopback.server.on('connection', (connection) =>
      connection.on('session', (session) => {
        names.push(`${session.name} ${JSON.stringify({ ...session.metadata })}`);
      }),
    );
    for (let count = 0; count < 2; count += 1) {
      await answer('nothing');
      await all(client.emit('nothing', bytes('x')));
    }

    expect(names).toEqual(['nothing {}', 'nothing {"rpc-kind":"event"}']);
  });
});

describe('A fake client', () => {
  it('does not look at what the reply to an event gives', async () => {
    const fake = new FakeInterconnectClient();
    let ended = 0;
    fake.reply('object', { id: 7 }).reply('observable', () => of(1, 2));
    fake.reply('generator', async function* () {
      yield 'text';
      ended += 1;
    });

    for (const pattern of ['object', 'observable', 'generator']) {
      expect(await all(fake.emit(pattern, bytes('')))).toEqual([undefined]);
    }
    await until(() => ended === 1);
    expect(await failure(fake.send('object', bytes('')))).toBeInstanceOf(InterconnectException);
  });
});
