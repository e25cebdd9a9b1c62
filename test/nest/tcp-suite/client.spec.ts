import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import type { WritePacket } from '@nestjs/microservices';
import { InterconnectClient } from '../../../src/nest/index.js';
import type { Connection } from '../../../src/nest/index.js';
import { deferred, failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class GateController {
  calls = 0;
  readonly gate = deferred();

  @MessagePattern('gate')
  async wait(): Promise<void> {
    this.calls += 1;
    await this.gate.promise;
  }
}

/** Gives callbacks to what Nest's own `send()` gives them to. */
class CallbackClient extends InterconnectClient<unknown> {
  call(callback: (packet: WritePacket) => void): () => void {
    return this.publish({ pattern: 'gate', data: {} }, callback);
  }
}

let loopback: Loopback;
let client: CallbackClient;

beforeEach(async () => {
  loopback = await Loopback.start({
    controllers: [GateController],
    server: { encoding: 'json' },
  });
  client = new CallbackClient({ host: '127.0.0.1', port: loopback.port, encoding: 'json' });
});
afterEach(async () => {
  loopback.app.get(GateController).gate.resolve();
  await client.close();
  await loopback.close();
});

describe('what is pending when a client is closed', () => {
  it.each([
    ['over a connection', true],
    ['while it connects', false],
  ])('fails, each by itself, though one callback throws: %s', async (_when, isConnected) => {
    const errors: unknown[] = [];
    if (isConnected) await client.connect();
    client.call(() => {
      throw new Error('callback broke');
    });
    client.call(({ err }) => errors.push(err));
    if (isConnected) await until(() => loopback.app.get(GateController).calls === 2);

    await client.close();
    await until(() => errors.length === 1);

    expect(errors).toMatchObject([{ code: 'IC_ERR_CLOSED' }]);
    expect(loopback.log.find('error', 'callback broke')).toHaveLength(1);
  });
});

describe('a client of the application that throws its own form of an error', () => {
  it('fails the call with that', async () => {
    class ThrowingClient extends InterconnectClient {
      override serializeError(): never {
        throw new TypeError('own form');
      }
    }
    const own = new ThrowingClient({ host: '127.0.0.1', port: loopback.port });

    expect(await failure(own.send('nobody', Buffer.alloc(0)))).toEqual(new TypeError('own form'));
    expect(await failure(own.request('nobody', Buffer.alloc(0)))).toMatchObject({
      message: 'own form',
    });
    await own.close();
  });
});

describe('a listener', () => {
  it.each(['before', 'after'])(
    'that was added %s connect() hears of the end of every connection',
    async (when) => {
      const ends: unknown[] = [];
      // TCP forgets its listeners at close(); here they stay.
      const listen = () => client.on('close', (error) => ends.push(error));
      if (when === 'before') listen();
      const connections: Connection[] = [];
      for (let turn = 0; turn < 2; turn++) {
        connections.push(await client.connect());
        if (when === 'after' && turn === 0) listen();
        await client.close();
      }

      expect(ends).toStrictEqual([undefined, undefined]);
      expect(new Set(connections).size).toBe(2);
    },
  );
});
