import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { InterconnectContext } from 'nestjs-interconnect';
import {
  createInterconnectContext,
  FakeInterconnectClient,
  InterconnectPair,
  InterconnectTestAddress,
} from 'nestjs-interconnect/testing';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('describe')
  async describe(
    @Payload() data: Buffer,
    @Ctx() context: InterconnectContext,
  ): Promise<string | undefined> {
    await context.getClient().request('described', data);
    const { path } = context.getMetadata();
    return `${path} of ${context.getCaller().identity} in ${context.getPattern()}, ${context.getRemaining()} ms, ${context.signal.aborted}`;
  }
}

function compile() {
  return Test.createTestingModule({ controllers: [EchoController] }).compile();
}

describe('InterconnectPair', () => {
  it('serves over all that is real, without a port', async () => {
    const pair = await InterconnectPair.start(await compile());

    expect(await pair.client.request('echo', Buffer.from('x'))).toEqual(Buffer.from('x'));
    expect(pair.server.peers.size).toBe(1);
    expect(typeof pair.server.unwrap().address()).toBe('string');
    await pair.close();
  });

  it('takes the options of both sides, and more clients', async () => {
    const pair = await InterconnectPair.start(await compile(), {
      server: { encoding: 'json' },
      client: { encoding: 'json' },
      configure: (app) => app.useGlobalPipes({ transform: (value: unknown) => [value] }),
    });

    expect(await pair.client.request('echo', { a: 1 })).toEqual([{ a: 1 }]);
    const raw = await pair.createClient().request('echo', Buffer.from('2'));
    expect(raw.toString()).toBe('[2]');
    await pair.close();
  });

  it('leaves nothing behind, also where it cannot start', async () => {
    const pair = await InterconnectPair.start(await compile());
    const path = pair.server.unwrap().address() as string;
    expect(existsSync(dirname(path))).toBe(true);
    await pair.close();

    expect(existsSync(dirname(path))).toBe(false);
    await expect(
      InterconnectPair.start(await compile(), { server: { shutdownTimeout: -1 } }),
    ).rejects.toMatchObject({ code: 'IC_ERR_OPTION' });
  });

  it('never meets another', async () => {
    const addresses = await Promise.all([
      InterconnectTestAddress.create(),
      InterconnectTestAddress.create(),
    ]);

    expect(new Set(addresses.map(({ path }) => path)).size).toBe(2);
    for (const address of addresses) await address.dispose();
  });
});

describe('createInterconnectContext()', () => {
  it('is what a handler gets, without a message on any wire', async () => {
    const client = new FakeInterconnectClient().reply('described', undefined);
    const context = createInterconnectContext({
      pattern: 'describe',
      metadata: { path: 'a.txt' },
      remaining: 250,
      identity: 'red',
      client,
    });

    expect(context).toBeInstanceOf(InterconnectContext);
    expect(await new EchoController().describe(Buffer.from('x'), context)).toBe(
      'a.txt of red in describe, 250 ms, false',
    );
    expect(client.calls).toMatchObject([{ pattern: 'described', data: Buffer.from('x') }]);
  });

  it('has a default for everything', () => {
    const context = createInterconnectContext();

    expect(context.getPattern()).toBe('test');
    expect(context.getMetadata()).toEqual({});
    expect(context.getDeadline()).toBeUndefined();
    expect(context.getMessage().data).toEqual(Buffer.alloc(0));
    expect(context.getPeer().encrypted).toBe(false);
    expect(context.isEvent()).toBe(false);
  });

  it('aborts with its signal', () => {
    const abort = new AbortController();
    const context = createInterconnectContext({ signal: abort.signal });

    abort.abort();

    expect(context.getSignal().aborted).toBe(true);
  });
});
