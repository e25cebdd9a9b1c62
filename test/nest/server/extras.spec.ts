import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { NEVER, finalize, firstValueFrom } from 'rxjs';
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
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class ExtrasController {
  readonly begun: string[] = [];
  readonly gates: (() => void)[] = [];
  context: InterconnectContext | undefined;
  unsubscribed = 0;

  @MessagePattern('one at a time', { concurrency: 1 })
  one(@Payload() data: Buffer): Promise<Buffer> {
    return this.wait(data);
  }

  @MessagePattern('two at a time', { concurrency: 2 })
  two(@Payload() data: Buffer): Promise<Buffer> {
    return this.wait(data);
  }

  @MessagePattern('failing', { concurrency: 1 })
  failing(@Payload() data: Buffer): never {
    this.begun.push(data.toString());
    throw new InterconnectException(Code.REFUSED, 'no');
  }

  @EventPattern('event', { concurrency: 1 })
  async event(@Payload() data: Buffer): Promise<void> {
    await this.wait(data);
  }

  @MessagePattern('limited', { timeout: 500 })
  async limited(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Promise<Buffer> {
    this.context = context;
    return this.wait(data);
  }

  @MessagePattern('limited stream', { timeout: 500 })
  limitedStream(): Observable<never> {
    this.begun.push('stream');
    return NEVER.pipe(finalize(() => (this.unsubscribed += 1)));
  }

  @MessagePattern('limited and alone', { timeout: 500, concurrency: 1 })
  async limitedAndAlone(@Payload() data: Buffer): Promise<Buffer> {
    return this.wait(data);
  }

  private async wait(data: Buffer): Promise<Buffer> {
    const { promise, resolve } = deferred();
    this.begun.push(data.toString());
    this.gates.push(resolve);
    await promise;
    return data;
  }
}

let clock: ManualClock;
let loopback: Loopback;
let client: InterconnectClient;
let controller: ExtrasController;

beforeEach(async () => {
  clock = new ManualClock();
  loopback = await Loopback.start({ controllers: [ExtrasController], server: { clock } });
  client = loopback.client();
  controller = loopback.app.get(ExtrasController);
});
afterEach(async () => {
  for (const open of controller.gates) open();
  await loopback.close();
});

function call(pattern: string, text: string, from = client): Promise<Buffer> {
  return firstValueFrom(from.send(pattern, Buffer.from(text)));
}

/** Another message of the same connection has been there and back: so have those before it. */
async function settled(): Promise<void> {
  await failure(call('nobody handles this', ''));
}

describe('the extra concurrency', () => {
  it('lets one handler run at a time, in the order of the messages', async () => {
    const calls = ['a', 'b', 'c'].map((text) => call('one at a time', text));
    await until(() => controller.begun.length > 0);
    await settled();
    expect(controller.begun).toEqual(['a']);

    controller.gates[0]?.();
    await calls[0];
    await until(() => controller.begun.length > 1);
    expect(controller.begun).toEqual(['a', 'b']);

    controller.gates[1]?.();
    await until(() => controller.begun.length > 2);
    controller.gates[2]?.();
    expect(await Promise.all(calls)).toEqual(['a', 'b', 'c'].map((text) => Buffer.from(text)));
  });

  it('never begins a message whose time is over before its turn, and says so [IC-10.3]', async () => {
    const first = call('one at a time', 'a');
    await until(() => controller.begun.length > 0);
    const session = (await client.connect()).openSession('one at a time');
    const late = failureOf(InterconnectError, session.send(Buffer.from('b'), { timeout: 20_000 }));
    const begun = failureOf(InterconnectError, session.send(Buffer.from('c'), { timeout: 50_000 }));
    await settled();

    clock.advance(20_000);
    expect(await late).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'no',
      status: Code.EXPIRED,
    });
    expect(loopback.log.find('warn', 'was not begun in time')).toHaveLength(1);

    controller.gates[0]?.();
    await first;
    await until(() => controller.begun.length > 1);
    clock.advance(30_000);
    expect(await begun).toMatchObject({ executed: 'maybe', status: Code.DEADLINE });
    expect(controller.begun).toEqual(['a', 'c']);
  });

  it('frees the places of messages whose time was over before their turn', async () => {
    const own = { clock, maxUnsettled: 4 };
    const small = await Loopback.start({ controllers: [ExtrasController], server: own });
    try {
      const caller = small.client();
      const session = (await caller.connect()).openSession('one at a time');
      const send = (timeout: number) =>
        session.send(Buffer.from('x'), { timeout }).catch((error: unknown) => error);
      const { begun, gates } = small.app.get(ExtrasController);
      const first = send(0);
      await until(() => begun.length > 0);
      for (let round = 0; round < 3; round += 1) {
        const rest = [send(10_000), send(10_000), send(10_000)];
        await failure(caller.request('nobody handles this', Buffer.alloc(0)));
        await new Promise((resolve) => setImmediate(resolve));
        clock.advance(10_000);
        await Promise.all(rest);
      }
      gates[0]?.();
      expect(await first).toMatchObject({ accepted: true });
      expect(begun).toHaveLength(1);
    } finally {
      await small.close();
    }
  });

  it('lets as many run as it says', async () => {
    const calls = ['a', 'b', 'c'].map((text) => call('two at a time', text));
    await until(() => controller.begun.length > 1);
    await settled();

    expect(controller.begun).toEqual(['a', 'b']);
    controller.gates[1]?.();
    await calls[1];
    await until(() => controller.begun.length > 2);
    controller.gates[0]?.();
    controller.gates[2]?.();
    await Promise.all(calls);
  });

  it('counts all connections together', async () => {
    const other = loopback.client();
    const first = call('one at a time', 'a');
    await until(() => controller.begun.length > 0);
    const second = call('one at a time', 'b', other);
    await failure(call('nobody handles this', '', other));

    expect(controller.begun).toEqual(['a']);
    controller.gates[0]?.();
    await first;
    await until(() => controller.begun.length > 1);
    controller.gates[1]?.();
    await second;
  });

  it('holds for each pattern by itself', async () => {
    void failure(call('one at a time', 'a'));
    void failure(call('two at a time', 'b'));

    await until(() => controller.begun.length > 1);
    expect(controller.begun).toEqual(['a', 'b']);
  });

  it('gives the place back after a failure', async () => {
    await failureOf(InterconnectException, call('failing', 'a'));
    await failureOf(InterconnectException, call('failing', 'b'));

    expect(controller.begun).toEqual(['a', 'b']);
  });

  it('never runs a message whose caller gave up while it waited', async () => {
    const first = call('one at a time', 'a');
    await until(() => controller.begun.length > 0);
    const controllerOfB = new AbortController();
    const given = failure(
      client.request('one at a time', Buffer.from('b'), { signal: controllerOfB.signal }),
    );
    const third = call('one at a time', 'c');
    await settled();

    controllerOfB.abort();
    expect(await given).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await settled();
    controller.gates[0]?.();
    await first;
    await until(() => controller.begun.length > 1);

    expect(controller.begun).toEqual(['a', 'c']);
    controller.gates[1]?.();
    await third;
  });

  it('lets one-way events wait for their turn too', async () => {
    const record = (text: string) => new InterconnectRecordBuilder(Buffer.from(text)).setOneWay();
    client.emit('event', record('a').build());
    client.emit('event', record('b').build());
    await until(() => controller.begun.length > 0);
    await settled();
    expect(controller.begun).toEqual(['a']);

    controller.gates[0]?.();

    await until(() => controller.begun.length > 1);
    expect(controller.begun).toEqual(['a', 'b']);
  });
});

describe('the extra timeout', () => {
  it('rejects a handler that takes longer, and says so to both sides', async () => {
    const failed = failure(call('limited', 'a'));
    await until(() => controller.context !== undefined);

    clock.advance(499);
    expect(controller.context?.getSignal().aborted).toBe(false);
    clock.advance(1);

    const error = await failed;
    const reason = 'The handler of "limited" did not settle within its 500 ms.';
    expect(error).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'maybe', reason });
    expect(String(error)).toContain(reason);
    expect(controller.context?.getSignal().aborted).toBe(true);
    expect(controller.context?.signal.reason).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect(loopback.log.find('warn', 'within its 500 ms')).toHaveLength(1);
    clock.advance(1);
    expect(controller.context?.getRemaining()).toBe(0);
  });

  it('is what is left of the time, where the message has more', async () => {
    const answered = call('limited', 'a');
    await until(() => controller.context !== undefined);

    clock.advance(200);

    expect(controller.context?.getRemaining()).toBe(300);
    controller.gates[0]?.();
    await answered;
  });

  it('is not what counts, where the message has less', async () => {
    const abort = new AbortController();
    const given = failure(
      client.request('limited', Buffer.from('a'), { timeout: 400, signal: abort.signal }),
    );
    await until(() => controller.context !== undefined);
    const { context } = controller;

    expect(context?.getRemaining()).toBeLessThanOrEqual(400);
    expect(context?.getSignal().aborted).toBe(false);
    abort.abort();
    expect(await given).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await until(() => context?.getSignal().aborted === true);
  });

  it('does nothing to a handler that is in time', async () => {
    const answered = call('limited', 'a');
    await until(() => controller.begun.length > 0);
    controller.gates[0]?.();

    expect(await answered).toEqual(Buffer.from('a'));
    clock.advance(1000);
    expect(controller.context?.getSignal().aborted).toBe(false);
    expect(loopback.log.find('warn', 'did not settle')).toEqual([]);
  });

  it('unsubscribes from an Observable', async () => {
    const failed = failureOf(InterconnectError, call('limited stream', ''));
    await until(() => controller.begun.length > 0);
    await settled();

    clock.advance(500);

    expect((await failed).reason).toContain('did not settle within its 500 ms');
    expect(controller.unsubscribed).toBe(1);
  });

  it('gives the place of concurrency back only when the handler has ended', async () => {
    const failed = failure(call('limited and alone', 'a'));
    const next = call('limited and alone', 'b');
    await until(() => controller.begun.length > 0);
    clock.advance(500);
    await failed;
    await settled();
    expect(controller.begun).toEqual(['a']);

    controller.gates[0]?.();

    await until(() => controller.begun.length > 1);
    controller.gates[1]?.();
    expect(await next).toEqual(Buffer.from('b'));
  });
});

describe('extras that are wrong', () => {
  it.each([
    [{ concurrency: 0 }, 'concurrency', '0'],
    [{ concurrency: '2' }, 'concurrency', "'2'"],
    [{ timeout: 1.5 }, 'timeout', '1.5'],
    [{ timeout: 2 ** 31 }, 'timeout', '2147483648'],
  ])('are refused at start, by pattern and name: %p', (extras, name, shown) => {
    const server = new InterconnectServer();

    const error = thrown(() => server.addHandler('p', async () => undefined, false, extras));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toMatch(
      new RegExp(`The extra "${name}" of the pattern "p" must be .*, and is ${shown}`),
    );
  });

  it('are not those of others', () => {
    const server = new InterconnectServer();

    expect(() => server.addHandler('p', async () => undefined, false, { qos: 2 })).not.toThrow();
  });
});

describe('the extras of several event handlers', () => {
  it('count as the strictest', async () => {
    const server = loopback.server;
    const begun: string[] = [];
    const { promise, resolve } = deferred();
    const handler = (name: string) => async () => {
      begun.push(name);
      await promise;
    };
    server.addHandler('chain', handler('first'), true, { concurrency: 3 });
    server.addHandler('chain', handler('second'), true, { concurrency: 2 });
    server.addHandler('chain', handler('third'), true, { concurrency: 1 });
    const calls = [call('chain', ''), call('chain', '')];
    await until(() => begun.length > 0);
    await settled();

    expect(begun).toEqual(['first']);
    resolve();
    await Promise.all(calls);
  });

  it('count as the strictest: the time that all of them have', async () => {
    const { promise, resolve } = deferred();
    const handler = () => async () => promise;
    loopback.server.addHandler('limits', handler(), true, { timeout: 900 });
    loopback.server.addHandler('limits', handler(), true, { timeout: 500 });
    const given = failure(call('limits', ''));
    await until(() => clock.pending > 0);
    await settled();

    clock.advance(500);

    expect(String(await given)).toContain('within its 500 ms');
    resolve();
  });
});
