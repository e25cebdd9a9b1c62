import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { InterconnectClient } from '../../../src/nest/index.js';
import { failure } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

/** Characters of one to four bytes, one that is two of UTF-16, and what JSON escapes. */
const SPECIAL = 'aÄة語𝄞"\\\u2028\u0000\n';

@Controller()
class ValuesController {
  readonly numbers: number[] = [];

  @MessagePattern('echo')
  echo(data: unknown): unknown {
    return data;
  }

  @EventPattern('number')
  note(data: number): void {
    this.numbers.push(data);
  }
}

let loopback: Loopback;
let client: InterconnectClient<unknown>;
beforeAll(async () => {
  loopback = await Loopback.start({
    controllers: [ValuesController],
    server: { encoding: 'json' },
  });
  client = loopback.client({ encoding: 'json' });
});
afterAll(() => loopback.close());

describe('values', () => {
  it.each([
    ['a string', 'Hello there'],
    ['a number', 12.34],
    ['a boolean', true],
    ['an object', { a: 'yes', b: 9 }],
    ['an array', ['yes', 9]],
    ['special characters', SPECIAL],
  ])('arrive as they are: %s', async (_kind, value) => {
    expect(await firstValueFrom(client.send('echo', value))).toEqual(value);
  });

  it('arrive whole, cut anywhere on their way', async () => {
    // Of a length that is prime, so that fragments begin amid characters.
    const text = SPECIAL.repeat(20_011);

    expect(await firstValueFrom(client.send('echo', { text }))).toEqual({ text });
  });

  it('arrive in the order in which they were sent', async () => {
    const numbers = Array.from({ length: 100 }, (_entry, at) => at);

    await Promise.all(
      numbers.map((number) =>
        lastValueFrom(client.emit('number', number), { defaultValue: undefined }),
      ),
    );

    expect(loopback.app.get(ValuesController).numbers).toEqual(numbers);
  });

  // TCP ends the socket; here only the message is refused, and the connection is as good as before.
  it('that are none are refused', async () => {
    const connection = await client.connect();

    const outcome = await connection.openSession('echo').send(Buffer.from('"Hel'));

    expect(outcome).toMatchObject({
      accepted: false,
      reason: expect.stringContaining('cannot be decoded'),
    });
    expect(connection.status).toBe('open');
  });

  it('for which there is no handler are an error, with the sentence that TCP has', async () => {
    expect(await failure(client.send('nobody', 'x'))).toMatchObject({
      message: 'There is no matching message handler defined in the remote service.',
    });
  });
});
