import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { WritePacket } from '@nestjs/microservices';
import { Subject, firstValueFrom, retry, takeUntil } from 'rxjs';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectException,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { all, deferred, failure, failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class CallsController {
  calls = 0;
  failures = 0;
  readonly gate = deferred();

  @MessagePattern('count')
  count(): void {
    this.calls += 1;
  }

  @MessagePattern('gate')
  async waitForGate(@Payload() data: Buffer): Promise<Buffer> {
    this.calls += 1;
    await this.gate.promise;
    return data;
  }

  @MessagePattern('second time')
  secondTime(@Payload() data: Buffer): Buffer {
    this.failures += 1;
    if (this.failures === 1) throw new InterconnectException(0x8001, 'not yet');
    return data;
  }
}

/** What a subclass may change, as with Nest's own clients. */
class TextClient extends InterconnectClient {
  /** Nest's own way to send, which needs `publish`. */
  roundabout(pattern: string, data: Buffer): Promise<WritePacket> {
    return new Promise((resolve) => this.publish({ pattern, data }, resolve));
  }

  published(pattern: string, data: Buffer, told: (packet: WritePacket) => void): () => void {
    return this.publish({ pattern, data }, told);
  }

  protected override serializeResponse(response: Buffer): string {
    if (response.length === 0) throw new Error('nothing to read');
    return response.toString();
  }

  protected override serializeError(error: unknown): Error {
    return new Error('as the subclass says', { cause: error });
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let controller: CallsController;

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [CallsController] });
  client = loopback.client();
  controller = loopback.app.get(CallsController);
});
afterEach(() => loopback.close());

const bytes = Buffer.from('bytes');

describe('send()', () => {
  it('is cold: nothing happens without a subscriber, and each one sends again', async () => {
    const call = client.send('count', bytes);
    await firstValueFrom(client.send('count', bytes));
    expect(controller.calls).toBe(1);

    await firstValueFrom(call);
    await firstValueFrom(call);

    expect(controller.calls).toBe(3);
  });

  it('may be repeated with retry()', async () => {
    const result = await firstValueFrom(client.send('second time', bytes).pipe(retry(1)));

    expect(result).toEqual(bytes);
    expect(controller.failures).toBe(2);
  });

  it.each([
    [null, bytes],
    [undefined, bytes],
    ['count', null],
    ['count', undefined],
  ])("fails with Nest's error for pattern %p and data %p", async (pattern, data) => {
    const error = await failureOf(Error, client.send(pattern, data));
    const emitted = await failureOf(Error, client.emit(pattern, data));

    expect(error.message).toBe('The invalid data or message pattern (undefined/null)');
    expect(emitted.message).toBe(error.message);
  });

  it.each([
    ['text', 'a string'],
    [7, 'a number'],
    [{ a: 1 }, 'an object (Object)'],
    [[1, 2], 'an array'],
    [new Float64Array(1), 'an object (Float64Array)'],
    [new InterconnectRecordBuilder().build(), 'undefined'],
  ])('refuses data that is not bytes, by name and with a remedy: %p', async (data, type) => {
    const error = await failureOf(InterconnectError, client.send('count', data));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.message).toContain(`The data for "count" is ${type}.`);
    expect(error.message).toContain('Buffer.from(JSON.stringify(value))');
  });

  it.each([[Symbol('s')], [() => {}]])(
    'refuses a pattern that has no name: %p',
    async (pattern) => {
      const error = await failureOf(InterconnectError, client.send(pattern, bytes));

      expect(error.code).toBe('IC_ERR_OPTION');
    },
  );

  it('names any pattern in its texts, one that refers to itself too', async () => {
    const pattern: Record<string, unknown> = { cmd: 'sum' };
    pattern['self'] = pattern;

    const error = await failureOf(InterconnectError, client.send(pattern, 'text'));

    expect(error.message).toContain("cmd: 'sum'");
  });

  it('obeys the timeout of a record', async () => {
    const record = new InterconnectRecordBuilder(bytes).setTimeout(50).build();

    const error = await failureOf(InterconnectError, client.send('gate', record));

    expect(error.code).toBe('IC_ERR_TIMEOUT');
    expect(controller.calls).toBe(1);
  });

  it('of a one-way record completes when it is written', async () => {
    const record = new InterconnectRecordBuilder(bytes).setOneWay().build();

    expect(await all(client.send('gate', record))).toEqual([Buffer.alloc(0)]);
  });

  it('opens a refused session again at the next call', async () => {
    const names: string[] = [];
    loopback.server.on('connection', (connection) =>
      connection.on('session', (session) => names.push(session.name)),
    );

    await failure(client.send('unknown', bytes));
    await failure(client.send('unknown', bytes));

    expect(names).toEqual(['unknown', 'unknown']);
  });
});

describe('unsubscribing', () => {
  it('before the outcome lets nothing arrive any more', async () => {
    const told: string[] = [];
    const subscription = client.send('gate', bytes).subscribe({
      next: () => told.push('next'),
      error: () => told.push('error'),
      complete: () => told.push('complete'),
    });
    await firstValueFrom(client.send('count', bytes));

    subscription.unsubscribe();
    controller.gate.resolve();
    await firstValueFrom(client.send('count', bytes));

    expect(told).toEqual([]);
  });

  it('before the connection is there sends nothing', async () => {
    const sessions: string[] = [];
    loopback.server.on('connection', (connection) =>
      connection.on('session', ({ name }) => sessions.push(name)),
    );
    client.send('count', bytes).subscribe().unsubscribe();

    await firstValueFrom(client.send('gate', gateOpened()));

    expect(controller.calls).toBe(1);
    // The session is there for the next call.
    expect(sessions).toEqual(['count', 'gate']);
  });

  it('by an operator ends the call', async () => {
    const stop = new Subject<void>();
    const values = all(client.send('gate', bytes).pipe(takeUntil(stop)));
    await firstValueFrom(client.send('count', bytes));

    stop.next();

    expect(await values).toEqual([]);
  });

  it('leaves the others of the same session alone', async () => {
    const kept = firstValueFrom(client.send('gate', bytes));
    client.send('gate', Buffer.from('dropped')).subscribe().unsubscribe();
    controller.gate.resolve();

    expect(await kept).toEqual(bytes);
  });
});

describe('a subclass', () => {
  it('may turn responses and errors into its own', async () => {
    const text = new TextClient({ host: '127.0.0.1', port: loopback.port });

    const answer: unknown = await firstValueFrom(text.send('gate', gateOpened()));
    expect(await text.request('gate', bytes)).toBe('bytes');
    const error = await failureOf(Error, text.send('unknown', bytes));
    const eventError = await failureOf(Error, text.emit('unknown', bytes));

    expect(answer).toBe('open');
    expect(error.message).toBe('as the subclass says');
    expect(error.cause).toBeInstanceOf(InterconnectException);
    expect(eventError.cause).toBeInstanceOf(InterconnectException);
    await text.close();
  });

  it('fails the call when it cannot read the response', async () => {
    const text = new TextClient({ host: '127.0.0.1', port: loopback.port });

    const error = await failureOf(Error, text.send('count', bytes));

    expect(error.cause).toEqual(new Error('nothing to read'));
    await text.close();
  });

  it("may call publish, as Nest's own send() does", async () => {
    const text = new TextClient({ host: '127.0.0.1', port: loopback.port });

    expect(await text.roundabout('gate', gateOpened())).toEqual({
      response: Buffer.from('open'),
      isDisposed: true,
    });
    expect((await text.roundabout('unknown', bytes)).err).toBeInstanceOf(InterconnectException);
    await text.close();
  });

  it('is told nothing any more of what it published and cancelled', async () => {
    const text = new TextClient({ host: '127.0.0.1', port: loopback.port });
    const told: WritePacket[] = [];
    const cancel = text.published('gate', bytes, (packet) => told.push(packet));
    const answered = text.roundabout('gate', bytes);
    await text.roundabout('count', bytes);

    cancel();
    controller.gate.resolve();
    await answered;

    expect(told).toEqual([]);
    await text.close();
  });

  it('of JSON gets the errors of publish in the form that TCP has', async () => {
    const text = new TextClient({ host: '127.0.0.1', port: loopback.port, encoding: 'json' });

    const { err } = await text.roundabout('unknown', bytes);

    expect(err).toMatchObject({ status: 'error' });
    await text.close();
  });
});

/** Opens the gate for all, and is the data of a call that goes through it. */
function gateOpened(): Buffer {
  controller.gate.resolve();
  return Buffer.from('open');
}
