import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Subject, finalize } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Outcome, SendOptions } from '../../../src/endpoint/index.js';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
} from '../../../src/nest/index.js';
import { failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);

@Controller()
class SinglesController {
  subject = new Subject<unknown>();
  unsubscribed = 0;
  aborted = 0;

  @MessagePattern('subject')
  open(@Ctx() context: InterconnectContext): Observable<unknown> {
    context.signal.addEventListener('abort', () => (this.aborted += 1));
    return this.subject.pipe(finalize(() => (this.unsubscribed += 1)));
  }

  @MessagePattern('generator')
  async *generator(@Payload() count: Buffer): AsyncGenerator<Buffer> {
    for (let at = 1; at <= Number(count.toString()); at += 1) yield bytes(`${at}`);
  }

  @MessagePattern('fails after one')
  async *failing(): AsyncGenerator<Buffer> {
    yield bytes('1');
    throw new RpcException({ quota: 3 });
  }

  @MessagePattern('first', { stream: true })
  async *first(@Payload() body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const item of body) return yield item;
  }
}

@Controller()
class ValuesController {
  @MessagePattern('values')
  async *values(@Payload() count: number): AsyncGenerator<object> {
    for (let at = 1; at <= count; at += 1) yield { at };
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let controller: SinglesController;

beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [SinglesController] });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client();
  controller = loopback.app.get(SinglesController);
  controller.unsubscribed = controller.aborted = 0;
  controller.subject = new Subject();
});

/** A client to whom the other side gives these items and this outcome. */
function told(items: readonly string[], outcome: Partial<Outcome>): InterconnectClient {
  const send = async (_data: unknown, { onItem }: SendOptions = {}): Promise<never> => {
    for (const item of items) await onItem?.(bytes(item));
    return { accepted: true, data: bytes(''), metadata: {}, ...outcome } as never;
  };
  const path = { connection: {} as never, session: () => ({ send }) };
  return new InterconnectClient(
    {},
    { current: path, path: () => path, connect: async () => path, close: async () => {} },
  );
}

describe('request() and an answer that is a stream', () => {
  it('of one item is that item', async () => {
    expect(await client.request('generator', bytes('1'))).toEqual(bytes('1'));
  });

  it('of none has no value to give: the handler ran', async () => {
    expect(await failure(client.request('generator', bytes('0')))).toMatchObject({
      code: 'IC_ERR_UNEXPECTED_STREAM',
      executed: 'yes',
    });
  });

  it('of one item, where the request is a stream too', async () => {
    const items = [bytes('a'), bytes('b')];
    const body = (async function* () {
      yield* items;
    })();

    expect(await client.request('first', body)).toEqual(bytes('a'));
  });

  it('that fails after one item is that failure', async () => {
    const failed = client.request('fails after one', bytes(''));

    expect((await failureOf(InterconnectException, failed)).getError()).toEqual({ quota: 3 });
  });

  it('of more fails at the second item, and is cancelled', async () => {
    const failed = failure(client.request('subject', bytes('')));
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));
    controller.subject.next(bytes('2'));

    expect(await failed).toMatchObject({ code: 'IC_ERR_UNEXPECTED_STREAM', executed: 'yes' });
    await until(() => controller.unsubscribed === 1 && controller.aborted === 1);
  });

  it('is decoded as any answer', async () => {
    const values = await Loopback.start({
      controllers: [ValuesController],
      server: { encoding: 'json' },
    });
    const json: InterconnectClient<unknown> = values.client({ encoding: 'json' });

    expect(await json.request('values', 1)).toEqual({ at: 1 });
    await values.close();
  });

  it('counts data of the acceptance as a value', async () => {
    expect(await told([], { data: bytes('a') }).request('p', bytes(''))).toEqual(bytes('a'));
    expect(await told(['a'], {}).request('p', bytes(''))).toEqual(bytes('a'));
    expect(await told([''], {}).request('p', bytes(''))).toEqual(bytes(''));
    expect(await told([''], { streamed: true }).request('p', bytes(''))).toEqual(bytes(''));
    const beside = { data: bytes('a'), streamed: true } as const;
    expect(await told([], beside).request('p', bytes(''))).toEqual(bytes('a'));
    expect(await failure(told(['a'], { data: bytes('b') }).request('p', bytes('')))).toMatchObject({
      code: 'IC_ERR_UNEXPECTED_STREAM',
    });
  });
});
