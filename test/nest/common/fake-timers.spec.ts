/** A test of an application fakes time with Jest, as it comes, and calls a service that really runs. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom, from, lastValueFrom, NEVER, of, toArray } from 'rxjs';
import type { InterconnectClient } from '../../../src/nest/index.js';
import { afterTest } from '../../support/after-test.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class Controlled {
  @MessagePattern('value')
  value(data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('observable')
  observable(data: Buffer) {
    return of(data);
  }

  @MessagePattern('stream')
  stream(_data: Buffer) {
    return from(['a', 'b'].map((item) => Buffer.from(item)));
  }

  @MessagePattern('never', { timeout: 5 })
  never(_data: Buffer) {
    return NEVER;
  }

  @EventPattern('event')
  event(_data: Buffer): void {}
}

let client: InterconnectClient;

beforeEach(async () => {
  const loopback = await Loopback.start({ controllers: [Controlled] });
  afterTest(() => loopback.close());
  client = loopback.client();
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

describe('jest.useFakeTimers()', () => {
  it.each(['value', 'observable'])('leaves a call its answer: %s', async (pattern) => {
    expect(await client.request(pattern, Buffer.from('x'))).toEqual(Buffer.from('x'));
    expect(await firstValueFrom(client.send(pattern, Buffer.from('y')))).toEqual(Buffer.from('y'));
  });

  it('leaves a call its stream', async () => {
    const items = await lastValueFrom(client.send('stream', Buffer.from('x')).pipe(toArray()));

    expect(items.map(String)).toEqual(['a', 'b']);
  });

  it('leaves a handler its limit', async () => {
    await expect(client.request('never', Buffer.from('x'))).rejects.toMatchObject({
      code: 'IC_ERR_TIMEOUT',
    });
  });

  it('leaves an event its acknowledgement', async () => {
    const emitted = client.emit('event', Buffer.from('x'));

    expect(await lastValueFrom(emitted, { defaultValue: 'completed' })).toBeUndefined();
  });
});
