import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Scope, UseInterceptors } from '@nestjs/common';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Readable } from 'node:stream';
import { of } from 'rxjs';
import type { Observable } from 'rxjs';
import { EVENT_SESSION } from '../../../src/nest/common/event-session.js';
import { InterconnectClient, InterconnectRecordBuilder } from '../../../src/nest/index.js';
import { all, failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

const bytes = (text: string): Buffer => Buffer.from(text);
let seen: string[];

class Untouched implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

async function* work(name: string): AsyncGenerator<string> {
  seen.push(`${name} begins`);
  yield 'is not looked at';
  await new Promise((resolve) => setImmediate(resolve));
  seen.push(`${name} ends`);
}

async function* endless(name: string): AsyncGenerator<number> {
  try {
    for (let at = 0; ; at += 1) {
      if (at === 1) seen.push(`${name} begins`);
      yield at;
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    seen.push(`${name} ends`);
  }
}

async function* failing(name: string): AsyncGenerator<string> {
  yield name;
  throw new RpcException(`${name} fails`);
}

@Controller()
class FirstController {
  @EventPattern('three')
  three(@Payload() _data: Buffer): AsyncGenerator<string> {
    return work('first');
  }
  @EventPattern('two')
  two(@Payload() _data: Buffer): AsyncGenerator<string> {
    return work('first');
  }
  @EventPattern('two fail')
  twoFail(@Payload() _data: Buffer): AsyncGenerator<string> {
    return failing('first');
  }
  @EventPattern('pair')
  pair(@Payload() _data: Buffer): object {
    return { current: work('not'), next: work('these') };
  }
  @EventPattern('record')
  record(@Payload() _data: Buffer): unknown {
    return new InterconnectRecordBuilder(work('record')).build();
  }
  @EventPattern('endless')
  endless(@Payload() _data: Buffer): AsyncGenerator<number> {
    return endless('endless');
  }
  /** What has no way to be ended is at least asked no more. */
  @EventPattern('without return')
  withoutReturn(@Payload() _data: Buffer): AsyncIterable<string> {
    const next = async () => {
      seen.push('asked');
      await new Promise((resolve) => setImmediate(resolve));
      return { done: false as const, value: '' };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }
  @EventPattern('readable')
  readable(@Payload() _data: Buffer): Readable {
    const readable = new Readable({ read: () => undefined });
    return readable.on('close', () => seen.push('closed'));
  }
  @MessagePattern('message')
  message(): AsyncGenerator<string> {
    return work('message');
  }
}

@Injectable({ scope: Scope.REQUEST })
class OfRequest {}

@Controller({ scope: Scope.REQUEST })
class SecondController {
  // Its being asked for makes the controller one of the request.
  constructor(readonly _own: OfRequest) {}

  @EventPattern('three')
  @UseInterceptors(Untouched)
  async three(@Payload() _data: Buffer): Promise<AsyncGenerator<string>> {
    return work('second');
  }
  @EventPattern('two')
  two(@Payload() _data: Buffer): Observable<AsyncGenerator<string>> {
    return of(work('second'));
  }
  @EventPattern('two fail')
  twoFail(@Payload() _data: Buffer): AsyncGenerator<string> {
    return failing('second');
  }
}

@Controller()
class ThirdController {
  @EventPattern('three')
  three(@Payload() _data: Buffer): Readable {
    return Readable.from(work('third'));
  }
}

let loopback: Loopback;
const clock = new ManualClock();
let client: InterconnectClient;

beforeAll(async () => {
  loopback = await Loopback.start({
    controllers: [FirstController, SecondController, ThirdController],
    providers: [OfRequest],
    server: { clock },
  });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client();
  seen = [];
});

/** Emits an event; the returned function cancels it, which `emit()` has no way to do. */
async function emitted(pattern: string): Promise<() => void> {
  const connection = await client.connect();
  const cancel = new AbortController();
  const session = connection.openSession(pattern, EVENT_SESSION);
  session.send(bytes(''), { signal: cancel.signal }).catch(() => undefined);
  return () => cancel.abort();
}

async function roundTrips(): Promise<void> {
  for (let count = 0; count < 5; count += 1) await all(client.emit('record', bytes('')));
}

describe('event handlers that give streams', () => {
  it.each([
    ['two', ['first', 'second']],
    ['three', ['first', 'second', 'third']],
    ['record', ['record']],
  ])('run to their end, side by side, before the event is accepted: %s', async (event, names) => {
    await all(client.emit(event, bytes('')));

    expect(seen.toSorted()).toEqual(
      names.flatMap((name) => [`${name} begins`, `${name} ends`]).toSorted(),
    );
    const begun = seen.filter((each) => each.endsWith('begins'));
    expect(seen.slice(0, names.length).toSorted()).toEqual(begun.toSorted());
  });

  it('are all reported where they fail, and the caller learns of it', async () => {
    expect(await failure(client.emit('two fail', bytes('')))).toMatchObject({
      message: 'first fails',
    });
    clock.advance(1000);

    for (const name of ['first', 'second']) {
      const text = `The event handler of "two fail" failed: ${name} fails`;
      expect(loopback.log.find('error', text)).toHaveLength(1);
    }
  });

  it('are not taken for several where one gives what looks like it', async () => {
    await all(client.emit('pair', bytes('')));

    expect(seen).toEqual([]);
  });

  it('end when the caller leaves', async () => {
    const leave = await emitted('endless');
    await until(() => seen.includes('endless begins'));
    leave();

    await until(() => seen.length > 1);
    expect(seen).toEqual(['endless begins', 'endless ends']);
  });

  it('are asked no more when the caller leaves', async () => {
    const leave = await emitted('without return');
    await until(() => seen.length > 2);
    leave();
    await roundTrips();
    const asked = seen.filter((each) => each === 'asked').length;
    await roundTrips();

    expect(seen.filter((each) => each === 'asked')).toHaveLength(asked);
  });

  it('end when the caller leaves while they wait', async () => {
    const leave = await emitted('readable');
    await all(client.emit('record', bytes('')));
    seen = [];
    leave();

    await until(() => seen.length > 0);
    expect(seen).toEqual(['closed']);
  });
});

describe('a one-way message whose handler gives a stream', () => {
  it('has it run to its end', async () => {
    const oneWay = new InterconnectRecordBuilder(bytes('')).setOneWay().build();
    await all(client.send('message', oneWay));

    await until(() => seen.length === 2);
    expect(seen).toEqual(['message begins', 'message ends']);
  });
});
