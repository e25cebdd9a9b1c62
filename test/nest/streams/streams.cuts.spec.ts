import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { map, range } from 'rxjs';
import { CutProxy } from '../../support/peers/cut-proxy.js';
import type { Cut, Direction } from '../../support/peers/cut-proxy.js';
import { all } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const COUNT = 300;
const NUMBERS = Array.from({ length: COUNT }, (_, at) => at);

/** Of different lengths, so that cuts fall everywhere in them. */
function itemOf(at: number): Buffer {
  const item = Buffer.alloc(4 + (at % 7) * 40, at);
  item.writeUInt32BE(at);
  return item;
}

/** Throws unless every octet is as it left. */
function numberOf(item: Buffer): number {
  const at = item.readUInt32BE();
  expect(item.equals(itemOf(at))).toBe(true);
  return at;
}

async function* items(): AsyncGenerator<Buffer> {
  for (const at of NUMBERS) yield itemOf(at);
}

@Controller()
class CutsController {
  begun = 0;

  @MessagePattern('generator')
  generator(): AsyncGenerator<Buffer> {
    this.begun += 1;
    return items();
  }

  @MessagePattern('observable')
  observable(): Observable<Buffer> {
    this.begun += 1;
    return range(0, COUNT).pipe(map(itemOf));
  }

  @MessagePattern('upload', { stream: true })
  async upload(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    this.begun += 1;
    const numbers: number[] = [];
    for await (const item of body) numbers.push(numberOf(item));
    return Buffer.from(JSON.stringify(numbers));
  }

  @MessagePattern('echo', { stream: true })
  async *echo(@Payload() body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    this.begun += 1;
    yield* body;
  }
}

let loopback: Loopback;
let controller: CutsController;
beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [CutsController] });
  controller = loopback.app.get(CutsController);
});
afterAll(() => loopback.close());

/** A client whose sockets are cut, counted from where it is connected. */
async function cutClient(cuts: readonly Cut[]) {
  const proxy = await CutProxy.before({ host: '127.0.0.1', port: loopback.port });
  const client = loopback.client({
    ...proxy.address,
    maxItems: 8,
    reconnect: { minDelay: 1, maxDelay: 1 },
  });
  await client.connect();
  controller.begun = 0;
  const [first, ...further] = cuts;
  if (first !== undefined) proxy.cutAfter(...first, ...further);
  return { client, proxy };
}

/** Cuts of the direction in which the items go, and of the other, in which there is little but credit. */
const CUTS: readonly [string, readonly ['items' | 'credit', number][]][] = [
  ['amid the items', [['items', 10_000]]],
  ['amid the credit for them', [['credit', 150]]],
  [
    'again and again',
    [
      ['items', 5_001],
      ['items', 7_003],
      ['credit', 107],
      ['items', 4_009],
    ],
  ],
];

function toward(side: Direction, cuts: (typeof CUTS)[number][1]): Cut[] {
  const other = side === 'to dialer' ? 'to listener' : 'to dialer';
  return cuts.map(([what, count]) => [what === 'items' ? side : other, count]);
}

describe.each(CUTS)('streams whose socket is cut %s', (_, cuts) => {
  it.each(['generator', 'observable'])('are whole and in order as answers: %s', async (pattern) => {
    const { client, proxy } = await cutClient(toward('to dialer', cuts));

    const received = await all(client.send(pattern, Buffer.from('1')));

    expect(received.map((item) => numberOf(item))).toEqual(NUMBERS);
    expect(controller.begun).toBe(1);
    expect(proxy.cuts).toBe(cuts.length);
    await client.close();
  });

  it('are whole and in order as requests', async () => {
    const { client, proxy } = await cutClient(toward('to listener', cuts));

    const answer: Buffer = await client.request('upload', items());

    expect(JSON.parse(answer.toString())).toEqual(NUMBERS);
    expect(controller.begun).toBe(1);
    expect(proxy.cuts).toBe(cuts.length);
    await client.close();
  });

  it('are whole and in order both ways at once', async () => {
    const { client, proxy } = await cutClient(toward('to listener', cuts));

    const received = await all(client.send('echo', items()));

    expect(received.map((item) => numberOf(item))).toEqual(NUMBERS);
    expect(controller.begun).toBe(1);
    expect(proxy.cuts).toBe(cuts.length);
    await client.close();
  });
});
