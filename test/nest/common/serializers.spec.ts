import { afterEach, describe, expect, it } from '@jest/globals';
import { decode, encode } from '@msgpack/msgpack';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { Deserializer, Serializer } from '@nestjs/microservices';
import protobuf from 'protobufjs';
import { lastValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectException,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type {
  InterconnectPayloadOptions,
  InterconnectServerOptions,
} from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

/** A packet of Nest's: `data` on the way to the handler, `response` on the way back. */
interface Packet {
  readonly data?: unknown;
  readonly response?: unknown;
}

@Controller()
class ValuesController {
  readonly seen: unknown[] = [];

  @MessagePattern('sum')
  sum(@Payload() { numbers }: { numbers: number[] }): { total: number } {
    return { total: numbers.reduce((a, b) => a + b, 0) };
  }

  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('nothing')
  nothing(): void {}

  @EventPattern('noted')
  noted(@Payload() data: object): void {
    this.seen.push(data);
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

async function start(
  server: InterconnectServerOptions,
  client: InterconnectPayloadOptions = server,
): Promise<InterconnectClient<unknown>> {
  loopback = await Loopback.start({ controllers: [ValuesController], server });
  return loopback.client(client);
}

describe('MessagePack', () => {
  const serializer: Serializer<Packet, Uint8Array> = {
    serialize: ({ data, response }) => encode(data ?? response),
  };
  const deserializer: Deserializer<{ data?: Buffer; response?: Buffer }, Packet> = {
    deserialize: (packet) =>
      packet.data === undefined
        ? { response: decode(packet.response ?? Buffer.alloc(0)) }
        : { ...packet, data: decode(packet.data) },
  };

  it('carries values, bytes among them', async () => {
    const client = await start({ serializer, deserializer });

    expect(await client.request('sum', { numbers: [1, 2, 3] })).toEqual({ total: 6 });
    const picture = { name: 'a.png', pixels: new Uint8Array([0, 0xff]) };
    expect(await client.request('echo', picture)).toEqual(picture);
    await lastValueFrom(client.emit('noted', { at: new Date(0) }));
    expect(loopback.app.get(ValuesController).seen).toEqual([{ at: new Date(0) }]);
  });

  it('has a form for nothing: the serializer decides which', async () => {
    const client = await start({ serializer, deserializer });

    expect(await client.request('nothing', 1)).toBeNull();
    expect(await client.request('noted', { a: 1 })).toBeNull();
  });

  it('rejects bytes that are none of its own', async () => {
    const client = await start({ serializer, deserializer }, {});

    const error = await failureOf(
      InterconnectException,
      client.request('echo', Buffer.from([0xc1])),
    );

    expect(error.reason).toContain('The payload for "echo" cannot be decoded');
  });
});

describe('Protobuf', () => {
  const { root } = protobuf.parse(`
    syntax = "proto3";
    message SumRequest { repeated int32 numbers = 1; }
    message SumReply { int32 total = 1; }
  `);
  /** The pattern says which types a call has. */
  const types: Record<string, [request: string, reply: string]> = {
    sum: ['SumRequest', 'SumReply'],
  };
  const typeOf = (options: Record<string, unknown> | undefined, index: 0 | 1) =>
    root.lookupType(types[String(options?.['pattern'])]?.[index] ?? 'unknown');

  const serializer: Serializer<Packet, Uint8Array> = {
    serialize(packet, options) {
      const isRequest = 'data' in packet;
      const type = typeOf(options, isRequest ? 0 : 1);
      return type.encode(type.fromObject(Object(packet.data ?? packet.response))).finish();
    },
  };
  const deserializer: Deserializer<{ data?: Buffer; response?: Buffer }, Packet> = {
    deserialize(packet, options) {
      const isRequest = packet.data !== undefined;
      const type = typeOf(options, isRequest ? 0 : 1);
      const value = type.toObject(type.decode(packet.data ?? packet.response ?? Buffer.alloc(0)));
      return isRequest ? { ...packet, data: value } : { ...packet, response: value };
    },
  };

  it('takes the types from the pattern', async () => {
    const client = await start({ serializer, deserializer });

    expect(await client.request('sum', { numbers: [1, 2, 3] })).toEqual({ total: 6 });
  });
});

describe("serializers that were written for Nest's TCP transport", () => {
  const seal = (value: unknown): object => ({ sealed: JSON.stringify(value) });
  const unseal = (value: unknown): unknown => JSON.parse((value as { sealed: string }).sealed);

  it('work beneath encoding json: a packet in, a packet out', async () => {
    const seen: unknown[] = [];
    const client = await start(
      {
        encoding: 'json',
        serializer: {
          serialize: (packet: Packet) => ({ ...packet, response: seal(packet.response) }),
        },
        deserializer: {
          deserialize: (packet: Packet) => {
            seen.push(packet);
            return { ...packet, data: unseal(packet.data) };
          },
        },
      },
      {
        encoding: 'json',
        serializer: { serialize: (packet: Packet) => ({ ...packet, data: seal(packet.data) }) },
        deserializer: {
          deserialize: (packet: Packet) => ({ ...packet, response: unseal(packet.response) }),
        },
      },
    );

    expect(await client.request('sum', { numbers: [4, 5] })).toEqual({ total: 9 });
    expect(seen).toEqual([{ pattern: 'sum', data: { sealed: '{"numbers":[4,5]}' } }]);
  });

  it('may give the contents alone when they read, too', async () => {
    const contents = { deserialize: ({ data, response }: Packet) => data ?? response };
    const client = await start({ encoding: 'json', deserializer: contents });

    expect(await client.request('sum', { numbers: [1, 2] })).toEqual({ total: 3 });
  });

  it('may leave nothing as it is, beneath bytes too', async () => {
    const client = await start({ serializer: { serialize: (packet: Packet) => packet } });

    expect(await client.request('nothing', Buffer.alloc(0))).toEqual(Buffer.alloc(0));
  });

  it('may give the contents alone, whatever fields these have', async () => {
    const client = await start(
      { encoding: 'json' },
      { encoding: 'json', serializer: { serialize: (packet: Packet) => packet.data } },
    );

    expect(await client.request('echo', { data: 1, response: 2 })).toEqual({
      data: 1,
      response: 2,
    });
  });

  it('may take their time, at all four places', async () => {
    const later: InterconnectPayloadOptions = {
      encoding: 'json',
      serializer: { serialize: async (packet: Packet) => packet },
      deserializer: { deserialize: async (packet: Packet) => packet },
    };
    const client = await start(later);

    expect(await client.request('sum', { numbers: [1, 1] })).toEqual({ total: 2 });
    await lastValueFrom(client.emit('noted', { a: 1 }));
    expect(loopback.app.get(ValuesController).seen).toEqual([{ a: 1 }]);
  });
});

describe('a serializer that fails', () => {
  const broken = {
    serialize: () => {
      throw new Error('broken');
    },
  };
  const rejecting = { serialize: () => Promise.reject(new Error('broken')) };

  it.each([
    ['throws', broken],
    ['rejects', rejecting],
  ])('fails the call at the client: %s', async (_how, serializer) => {
    const client = await start({ encoding: 'json' }, { encoding: 'json', serializer });

    await expect(client.request('echo', 1)).rejects.toMatchObject({
      code: 'IC_ERR_OPTION',
      message: 'The data for "echo" cannot be encoded: broken',
    });
  });

  it.each([
    ['throws', broken],
    ['rejects', rejecting],
  ])('rejects the message at the server: %s', async (_how, serializer) => {
    const client = await start({ encoding: 'json', serializer }, { encoding: 'json' });

    const error = await failureOf(InterconnectException, client.request('echo', 1));

    expect(error.reason).toContain('The handler of "echo" returned what cannot be sent: broken');
  });

  it('is late: what the message was settled with meanwhile holds, and nothing is logged', async () => {
    const clock = new ManualClock();
    const { promise, resolve } = deferred<unknown>();
    await start({ clock, encoding: 'json', serializer: { serialize: () => promise } });
    loopback.server.addHandler('limited', async () => 1, false, { timeout: 500 });
    const given = failure(loopback.client({ encoding: 'json' }).send('limited', 1));
    await until(() => clock.pending > 0 && loopback.server.peers.size === 1);
    await failure(loopback.client({ encoding: 'json' }).send('nobody handles this', 1));

    clock.advance(500);
    expect(String(await given)).toContain('did not settle within its 500 ms');
    resolve(1);
    await failure(loopback.client({ encoding: 'json' }).send('nobody handles this', 1));

    expect(loopback.log.find('error', '')).toEqual([]);
  });

  it('gives no bytes: refused', async () => {
    const client = await start({}, { serializer: { serialize: () => 'text' } });

    await expect(client.request('echo', 1)).rejects.toThrow('The data for "echo" is a string.');
  });
});

describe('a deserializer that fails', () => {
  it.each([
    ['throws', () => fail()],
    ['rejects', async () => fail()],
  ])('fails the call, executed: %s', async (_how, deserialize) => {
    const client = await start(
      { encoding: 'json' },
      { encoding: 'json', deserializer: { deserialize } },
    );

    await expect(client.request('echo', 1)).rejects.toMatchObject({
      executed: 'yes',
      message: 'The response of "echo" cannot be decoded: broken',
    });
  });

  it('is not asked what an event is answered', async () => {
    const client = await start(
      { encoding: 'json' },
      { encoding: 'json', deserializer: { deserialize: () => fail() } },
    );

    await expect(lastValueFrom(client.emit('echo', 1))).resolves.toBeUndefined();
  });

  it('rejects the message at the server', async () => {
    const client = await start(
      { encoding: 'json', deserializer: { deserialize: async () => fail() } },
      { encoding: 'json' },
    );

    const error = await failureOf(InterconnectException, client.request('echo', 1));

    expect(error.reason).toBe('The payload for "echo" cannot be decoded: broken');
  });
});

describe('what Nest keeps in its own fields', () => {
  it('is the serializer and the deserializer, for subclasses', () => {
    const serializer = { serialize: (value: unknown) => value };
    const deserializer = { deserialize: (value: unknown) => value };
    class Client extends InterconnectClient {
      get fields(): unknown[] {
        return [this.serializer, this.deserializer];
      }
    }
    class ServerOfOurs extends InterconnectServer {
      get fields(): unknown[] {
        return [this.serializer, this.deserializer];
      }
    }

    const given = [serializer, deserializer];
    expect(new Client({ serializer, deserializer }).fields).toEqual(given);
    expect(new ServerOfOurs({ serializer, deserializer }).fields).toEqual(given);
  });
});

function fail(): never {
  throw new Error('broken');
}
