import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { from, lastValueFrom, of, tap, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectError,
  InterconnectException,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { all, deferred, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class FirstController {
  readonly seen: string[] = [];
  readonly started = deferred();
  readonly gate = deferred();
  metadata: Record<string, string> = {};

  @EventPattern('stored')
  stored(@Payload() data: Buffer): void {
    this.seen.push(`first ${data.toString()}`);
  }

  @EventPattern('slow')
  async slow(@Payload() _data: Buffer): Promise<void> {
    await this.gate.promise;
    this.seen.push('slow done');
  }

  @EventPattern('slow stream')
  slowStream(@Payload() _data: Buffer): Observable<unknown> {
    this.started.resolve();
    return from(this.gate.promise).pipe(tap(() => this.seen.push('stream done')));
  }

  @EventPattern<unknown>('slow stream with a limit', undefined, { timeout: 60_000 })
  slowLimitedStream(@Payload() data: Buffer): Observable<unknown> {
    return this.slowStream(data);
  }

  @EventPattern('partly failing')
  failing(@Payload() _data: Buffer): void {
    this.seen.push('failing');
    throw new RpcException('no space');
  }

  @EventPattern('failing stream')
  failingStream(@Payload() _data: Buffer): Observable<never> {
    return throwError(() => new InterconnectException(0x8002, 'stream broke'));
  }

  @EventPattern('crashing')
  crashing(@Payload() _data: Buffer): void {
    throw new Error('secret');
  }

  @EventPattern('with a result')
  withResult(@Payload() _data: Buffer): Observable<string> {
    return of('one', 'two');
  }

  @EventPattern<unknown>('kind')
  kind(@Payload() _data: Buffer, @Ctx() context: InterconnectContext): void {
    this.metadata = { ...context.getMetadata() };
    this.seen.push(`isEvent ${context.isEvent()}`);
  }

  @MessagePattern('message')
  message(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Buffer {
    this.seen.push(`message ${data.toString()} isEvent ${context.isEvent()}`);
    return data;
  }
}

@Controller()
class SecondController {
  readonly seen: string[] = [];

  @EventPattern('stored')
  stored(@Payload() data: Buffer): void {
    this.seen.push(`second ${data.toString()}`);
  }

  @EventPattern('partly failing')
  async healthy(@Payload() _data: Buffer): Promise<void> {
    this.seen.push('healthy');
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let first: FirstController;
let second: SecondController;

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [FirstController, SecondController] });
  client = loopback.client();
  first = loopback.app.get(FirstController);
  second = loopback.app.get(SecondController);
});
afterEach(() => loopback.close());

describe('emit()', () => {
  it('completes when every handler of the event has run', async () => {
    await lastValueFrom(client.emit('stored', Buffer.from('a')));

    expect(first.seen).toEqual(['first a']);
    expect(second.seen).toEqual(['second a']);
  });

  it('does not complete before the handler has', async () => {
    let completed = false;
    const emitted = lastValueFrom(client.emit('slow', Buffer.alloc(0))).then(() => {
      completed = true;
    });
    await lastValueFrom(client.emit('stored', Buffer.from('meanwhile')));

    expect(completed).toBe(false);
    first.gate.resolve();
    await emitted;
    expect(first.seen).toEqual(['first meanwhile', 'slow done']);
  });

  it('is hot: it sends without a subscriber, once however many subscribe', async () => {
    const result = client.emit('stored', Buffer.from('hot'));
    await until(() => second.seen.length > 0);

    await all(result);
    await all(result);

    expect(second.seen).toEqual(['second hot']);
  });

  it('tells its end to a subscriber who comes late', async () => {
    const result = client.emit('stored', Buffer.from('x'));
    await lastValueFrom(result);

    expect(await all(result)).toStrictEqual([undefined]);
  });

  it('ignores what an event handler returns or emits', async () => {
    expect(await all(client.emit('with a result', Buffer.alloc(0)))).toStrictEqual([undefined]);
  });

  it('runs a message handler as well, and drops its result', async () => {
    expect(await all(client.emit('message', Buffer.from('m')))).toStrictEqual([undefined]);
    expect(first.seen).toEqual(['message m isEvent false']);
  });

  it('fails when one handler fails, and the others run all the same', async () => {
    const error = await failureOf(
      InterconnectException,
      client.emit('partly failing', Buffer.alloc(0)),
    );

    expect(error.getError()).toBe('no space');
    expect(first.seen).toEqual(['failing']);
    expect(second.seen).toEqual(['healthy']);
  });

  it("fails when a handler's Observable does", async () => {
    const error = await failureOf(
      InterconnectException,
      client.emit('failing stream', Buffer.alloc(0)),
    );

    expect(error).toMatchObject({ code: 0x8002, reason: 'stream broke' });
  });

  it('fails when nobody handles the event', async () => {
    const error = await failureOf(InterconnectException, client.emit('unknown', Buffer.alloc(0)));

    expect(error.code).toBe(Code.NO_SUCH_SESSION);
  });
});

describe('a failed event', () => {
  it('is logged once at the server, with pattern and reason', async () => {
    await failureOf(InterconnectException, client.emit('partly failing', Buffer.alloc(0)));

    expect(loopback.log.find('error', 'no space')).toEqual([
      'The event handler of "partly failing" failed: no space',
    ]);
  });

  it('is logged at the server also when its caller is told nothing of it', async () => {
    await failureOf(InterconnectException, client.emit('crashing', Buffer.alloc(0)));

    expect(loopback.log.find('error', 'The event handler of "crashing" failed')).toHaveLength(1);
  });

  it('is logged at the client when nobody observes it', async () => {
    client.emit('unknown', Buffer.alloc(0));

    await until(() => loopback.log.find('error', 'The event "unknown" failed').length > 0);
    expect(loopback.log.find('error', 'The event "unknown" failed')).toHaveLength(1);
  });

  it('is not logged at the client when somebody does', async () => {
    await failureOf(InterconnectException, client.emit('unknown', Buffer.alloc(0)));

    expect(loopback.log.find('error', 'The event "unknown" failed')).toEqual([]);
  });
});

describe('send() to an event handler', () => {
  it('is accepted with an empty Buffer: the decorator decides what is an event', async () => {
    expect(await all(client.send('kind', Buffer.alloc(0)))).toEqual([Buffer.alloc(0)]);
    expect(first.seen).toEqual(['isEvent true']);
  });
});

describe('a one-way event', () => {
  it('completes without waiting for its handler, when the record says so', async () => {
    const record = new InterconnectRecordBuilder(Buffer.from('quick')).setOneWay().build();

    await lastValueFrom(client.emit('slow', record));

    expect(first.seen).toEqual([]);
    first.gate.resolve();
    await until(() => first.seen.length > 0);
  });

  it('is the default of a client with that option, unless the record says otherwise', async () => {
    const careless = loopback.client({ oneWay: true });
    const acknowledged = new InterconnectRecordBuilder(Buffer.alloc(0)).setOneWay(false).build();

    await lastValueFrom(careless.emit('partly failing', Buffer.alloc(0)));

    const error = await failureOf(
      InterconnectException,
      careless.emit('partly failing', acknowledged),
    );
    expect(error.getError()).toBe('no space');
  });

  it('is never what send() and request() make of a message: they have an outcome', async () => {
    const careless = loopback.client({ oneWay: true });

    expect(await all(careless.send('message', Buffer.from('a')))).toEqual([Buffer.from('a')]);
    expect(await careless.request('message', Buffer.from('b'))).toEqual(Buffer.from('b'));
  });

  it('carries its metadata', async () => {
    const record = new InterconnectRecordBuilder(Buffer.alloc(0))
      .setOneWay()
      .setMetadata({ volume: '7' })
      .build();

    await lastValueFrom(client.emit('kind', record));

    await until(() => first.seen.length > 0);
    expect(first.metadata).toEqual({ volume: '7' });
  });

  it('fails where it cannot be sent', async () => {
    const careless = loopback.client({ oneWay: true });

    const error = await failureOf(
      InterconnectError,
      careless.emit('stored', Buffer.alloc(17 * 1024 * 1024)),
    );

    expect(error).toMatchObject({ code: 'IC_ERR_TOO_LARGE', executed: 'no' });
  });

  it.each(['slow stream', 'slow stream with a limit'])(
    'is carried through though its sender has gone: %s',
    async (pattern) => {
      const record = new InterconnectRecordBuilder(Buffer.alloc(0)).setOneWay().build();
      const gone = new Promise((resolve) =>
        loopback.server.on('connection', (connection) => connection.on('close', resolve)),
      );
      await lastValueFrom(client.emit(pattern, record));
      await first.started.promise;

      await client.close();
      await gone;
      first.gate.resolve();

      await until(() => first.seen.length > 0);
      expect(first.seen).toEqual(['stream done']);
    },
  );

  it('that fails is logged at the server', async () => {
    const record = new InterconnectRecordBuilder(Buffer.alloc(0)).setOneWay().build();

    await lastValueFrom(client.emit('partly failing', record));

    await until(() => loopback.log.find('error', 'no space').length > 0);
    expect(loopback.log.find('error', 'no space')).toHaveLength(1);
  });
});
