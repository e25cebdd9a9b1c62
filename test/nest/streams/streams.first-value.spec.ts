import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, UseInterceptors } from '@nestjs/common';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { EMPTY, Observable, Subject, finalize, from, lastValueFrom, map, of } from 'rxjs';
import { connect } from '../../../src/endpoint/index.js';
import type { Connection, Outcome } from '../../../src/endpoint/index.js';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { all, failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const record = (text: string) => new InterconnectRecordBuilder(bytes(text)).build();

class Louder implements NestInterceptor<Buffer, Buffer> {
  intercept(_context: ExecutionContext, next: CallHandler<Buffer>): Observable<Buffer> {
    return next.handle().pipe(map((item) => bytes(`${item.toString()}!`)));
  }
}

@Controller()
class FirstValueController {
  subject = new Subject<unknown>();
  unsubscribed = 0;

  @MessagePattern('of')
  of(): Observable<Buffer> {
    return of(bytes('1'));
  }

  @MessagePattern('intercepted')
  @UseInterceptors(Louder)
  async intercepted(): Promise<Buffer> {
    return bytes('1');
  }

  @MessagePattern('promised')
  promised(): Observable<Buffer> {
    return from(Promise.resolve(bytes('1')));
  }

  @MessagePattern('microtasks later')
  microtasksLater(): Observable<Buffer> {
    return new Observable((subscriber) => {
      subscriber.next(bytes('1'));
      void (async () => {
        for (let count = 0; count < 10; count += 1) await Promise.resolve();
        subscriber.complete();
      })();
    });
  }

  @MessagePattern('in a callback')
  inACallback(): Observable<Buffer> {
    return new Observable((subscriber) => {
      setImmediate(() => {
        subscriber.next(bytes('1'));
        subscriber.complete();
      });
    });
  }

  @MessagePattern('none')
  none(): Observable<never> {
    return EMPTY;
  }

  @MessagePattern('fails at once')
  failsAtOnce(): Observable<Buffer> {
    return new Observable((subscriber) => {
      subscriber.next(bytes('1'));
      subscriber.error(new RpcException({ quota: 3 }));
    });
  }

  @MessagePattern('subject')
  open(): Observable<unknown> {
    return this.subject.pipe(finalize(() => (this.unsubscribed += 1)));
  }

  @MessagePattern('settled already')
  settledAlready(@Ctx() context: InterconnectContext): Observable<unknown> {
    context.getMessage().respond(bytes('own'));
    return this.open();
  }

  @EventPattern('event')
  event(@Payload() _data: Buffer): Observable<unknown> {
    return this.open();
  }
}

let loopback: Loopback;
let connection: Connection;
let client: InterconnectClient;
let controller: FirstValueController;

beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [FirstValueController] });
  connection = await connect({ host: '127.0.0.1', port: loopback.port });
});
afterAll(async () => {
  await connection.close();
  await loopback.close();
});
beforeEach(() => {
  client = loopback.client();
  controller = loopback.app.get(FirstValueController);
  controller.unsubscribed = 0;
  controller.subject = new Subject();
});

/** The outcome for a caller that takes no items: a stream would be an error. */
async function plain(pattern: string): Promise<Outcome> {
  return connection.openSession(pattern).send(bytes(''));
}

/** What the answer of the subject is to be seen by, as it comes. */
async function watch(pattern = 'subject') {
  const seen: string[] = [];
  const answer = client.send(pattern, bytes('')).pipe(map((item) => seen.push(item.toString())));
  const done = lastValueFrom(answer, { defaultValue: undefined });
  void done.catch(() => undefined);
  await until(() => controller.subject.observed);
  return { seen, done };
}

/** Another message of the same connection has been there and back: so has what came before its answer. */
async function passed(): Promise<void> {
  await client.request('of', bytes(''));
}

describe('an Observable of one value', () => {
  it.each([
    ['of', '1'],
    ['intercepted', '1!'],
    ['promised', '1'],
    ['in a callback', '1'],
    ['microtasks later', '1'],
  ])('that completes with it is no stream: %s', async (pattern, text) => {
    expect(await plain(pattern)).toMatchObject({ accepted: true, data: bytes(text) });
  });

  it('that goes on shows it at once', async () => {
    const { seen, done } = await watch();

    controller.subject.next(bytes('1'));
    await until(() => seen.length === 1);
    controller.subject.complete();

    await done;
    expect(seen).toEqual(['1']);
  });

  it('that completes later is for request() that value', async () => {
    const answer = client.request('subject', bytes(''));
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));
    await new Promise((resolve) => setImmediate(resolve));
    controller.subject.complete();

    expect(await answer).toEqual(bytes('1'));
  });

  it.each(['at once', 'later'])('that fails %s gives it, and then the error', async (when) => {
    const pattern = when === 'later' ? 'subject' : 'fails at once';
    const seen: string[] = [];
    const failed = new Promise<unknown>((resolve) => {
      client.send(pattern, bytes('')).subscribe({
        next: (item) => seen.push(item.toString()),
        error: resolve,
      });
    });
    if (when === 'later') {
      await until(() => controller.subject.observed);
      controller.subject.next(bytes('1'));
      await until(() => seen.length === 1);
      controller.subject.error(new RpcException({ quota: 3 }));
    }

    expect(((await failed) as RpcException).getError()).toEqual({ quota: 3 });
    expect(seen).toEqual(['1']);
  });

  it('that is a record, or a stream, is the whole answer, and waits for the end', async () => {
    for (const value of [
      record('1'),
      (async function* () {
        yield bytes('1');
      })(),
    ]) {
      controller.subject = new Subject();
      const { seen, done } = await watch();
      controller.subject.next(value);
      await passed();
      expect(seen).toEqual([]);
      controller.subject.complete();

      await done;
      expect(seen).toEqual(['1']);
    }
  });

  it('that is nothing is an empty Buffer, and what follows follows', async () => {
    const { seen, done } = await watch();
    controller.subject.next(undefined);
    await until(() => seen.length === 1);
    controller.subject.next(bytes('2'));
    controller.subject.complete();

    await done;
    expect(seen).toEqual(['', '2']);
  });
});

describe('an Observable of no value', () => {
  it('is answered as a stream without items, now or later', async () => {
    expect(await plain('none')).toMatchObject({ accepted: true, data: bytes(''), streamed: true });
    const { seen, done } = await watch();
    controller.subject.complete();

    await done;
    expect(seen).toEqual([]);
  });
});

describe('an Observable whose values nobody is to see', () => {
  it('is that of an event: it completes when the Observable does', async () => {
    let isDone = false;
    const emitted = all(client.emit('event', bytes(''))).then(() => (isDone = true));
    await until(() => controller.subject.observed);
    controller.subject.next('no bytes, and not looked at');
    controller.subject.next(bytes('2'));
    await passed();

    expect(isDone).toBe(false);
    expect(controller.unsubscribed).toBe(0);
    controller.subject.complete();
    await emitted;
  });

  it('and of an event that fails after a value: it fails', async () => {
    const failed = failure(client.emit('event', bytes('')));
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));
    controller.subject.error(new RpcException('no'));

    expect(await failed).toMatchObject({ message: 'no' });
  });

  it('and of a one-way message: it runs to its end', async () => {
    const oneWay = new InterconnectRecordBuilder(bytes('')).setOneWay().build();
    await all(client.send('subject', oneWay));
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));
    controller.subject.next(bytes('2'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(controller.unsubscribed).toBe(0);

    controller.subject.complete();
    expect(controller.unsubscribed).toBe(1);
  });

  it('and of a handler that has settled the message itself', async () => {
    const answer = client.request('settled already', bytes(''));
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));

    expect(await answer).toEqual(bytes('own'));
    expect(controller.unsubscribed).toBe(0);
    controller.subject.complete();
    expect(controller.unsubscribed).toBe(1);
  });
});
