/** The other side's words, wherever they come into Nest's log or into the message of an error. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, RpcException } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { connect, Listener } from '../../../src/endpoint/index.js';
import type { Connection, TcpAddress } from '../../../src/endpoint/index.js';
import {
  InterconnectClient,
  InterconnectException,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { HOSTILE, INVISIBLE } from '../../support/words.js';
import { failureOf, until } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class WordsController {
  @EventPattern('event fails')
  eventFails(words: Buffer): void {
    throw new RpcException(words.toString());
  }

  @EventPattern('event rejects')
  eventRejects(words: Buffer): void {
    throw new InterconnectException(0x8001, words.toString());
  }

  @MessagePattern('text')
  text(): void {
    throw new RpcException(HOSTILE);
  }

  @MessagePattern('object')
  object(): void {
    throw new RpcException({ name: HOSTILE, message: HOSTILE, words: HOSTILE });
  }

  @MessagePattern('stream')
  async *stream(): AsyncGenerator<Buffer> {
    yield Buffer.from('1');
    throw new RpcException(HOSTILE);
  }
}

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

async function serve(server: InterconnectServerOptions = {}): Promise<Loopback> {
  const loopback = await Loopback.start({ controllers: [WordsController], server });
  ends.push(() => loopback.close());
  return loopback;
}

/** Somebody who speaks the protocol, and says what he likes. */
async function peerOf({ port }: Loopback): Promise<Connection> {
  const peer = await connect({ host: '127.0.0.1', port });
  ends.push(() => peer.close());
  return peer;
}

/** Sends one message, and waits until it has had its effect. */
async function sendTo(loopback: Loopback, pattern: string, data = HOSTILE): Promise<void> {
  const session = (await peerOf(loopback)).openSession(pattern);
  await session.send(Buffer.from(data)).catch(() => undefined);
}

function expectTame(log: LogRecorder): void {
  const printed = log.printed();
  expect(printed.join(' ')).toContain('x\\n[Nest] 1');
  for (const line of printed) expect(line).not.toMatch(INVISIBLE);
}

describe("the server's log has the words of others on one line [IC-5.12]", () => {
  it.each([
    ['an unknown pattern', HOSTILE],
    ['an event that fails', 'event fails'],
    ['an event that is rejected', 'event rejects'],
  ])('of %s', async (_, pattern) => {
    const loopback = await serve();

    await sendTo(loopback, pattern);

    expectTame(loopback.log);
  });

  it('of what a deserializer says about a payload', async () => {
    const deserialize = (): never => {
      throw new TypeError(`bad: ${HOSTILE}`);
    };
    const loopback = await serve({ deserializer: { deserialize } });

    await sendTo(loopback, 'text');

    expectTame(loopback.log);
  });

  it('of a handler that fails past the filters', async () => {
    const loopback = await serve();
    loopback.server.addHandler('direct', () => Promise.reject(new Error(HOSTILE)));

    await sendTo(loopback, 'direct');

    expectTame(loopback.log);
  });

  it('of an authentication that throws, and of a callback that does', async () => {
    const loopback = await serve({
      authenticate: (handshake) => {
        if (handshake.data.length > 0) throw new Error(handshake.data.toString());
        handshake.accept();
      },
    });
    loopback.server.on('peer', () => {
      throw new Error(HOSTILE);
    });
    const { port } = loopback;

    await connect({ host: '127.0.0.1', port, data: Buffer.from(HOSTILE) }).catch(() => undefined);
    await peerOf(loopback);

    expectTame(loopback.log);
    expect(loopback.log.find('error', 'x\\n[Nest] 1')).toHaveLength(2);
  });

  it('of what is no error at all', async () => {
    const loopback = await serve();
    const strange: unknown[] = [HOSTILE, Object.assign(Object.create(null), { words: HOSTILE })];
    loopback.server.on('connection', () => {
      throw strange[0];
    });
    loopback.server.on('peer', () => {
      throw strange[1];
    });

    await peerOf(loopback);

    expectTame(loopback.log);
    expect(loopback.log.find('error', '[Nest] 1')).toHaveLength(2);
  });
});

describe("the client's log has them so", () => {
  it('of an event that nobody observes, and of the end of a connection', async () => {
    const log = LogRecorder.install();
    const listener = await hostileListener();
    const client = clientOf(listener);

    client.emit('event', Buffer.from('reject'));
    await until(() => log.find('error', 'nobody looks').length === 1);
    client.emit('refused', Buffer.from('1'));
    await until(() => log.find('error', 'nobody looks').length === 2);
    client.emit('event', Buffer.from('close'));
    await until(() => log.find('error', 'nobody looks').length === 3);

    expectTame(log);
    expect(log.find('warn', 'x\\n[Nest] 1')).toHaveLength(1);
  });

  it('of a server that connects, and is refused', async () => {
    const log = LogRecorder.install();
    const listener = new Listener({
      port: 0,
      authenticate: (each) => each.reject(0x8001, HOSTILE),
    });
    ends.push(() => listener.close());
    const { host, port } = (await listener.listen()) as TcpAddress;
    const server = new InterconnectServer({ connect: { host, port, waitForConnection: false } });
    ends.push(() => server.close());

    await new Promise((resolve) => void server.listen(resolve));
    await until(() => log.find('warn', '[Nest] 1').length > 0);

    expectTame(log);
  });
});

describe('an exception has them escaped in its message, and as they came elsewhere', () => {
  it.each(['text', 'stream'])('that was thrown with a text (%s)', async (pattern) => {
    const client = (await serve()).client();

    const error = await failureOf(
      InterconnectException,
      lastValueFrom(client.send(pattern, Buffer.from('1'))),
    );

    expect(error.message).toContain('x\\n[Nest] 1');
    expect(error.message).not.toMatch(INVISIBLE);
    expect([error.reason, error.getError()]).toEqual([HOSTILE, HOSTILE]);
  });

  it('of a session that was refused', async () => {
    const client = clientOf(await hostileListener());

    const error = await failureOf(
      InterconnectException,
      client.request('refused', Buffer.from('1')),
    );

    expect(error.message).not.toMatch(INVISIBLE);
    expect(error.reason).toBe(HOSTILE);
  });

  it("that shows the fields of Nest's TCP client", async () => {
    const client = (await serve({ encoding: 'json' })).client({ encoding: 'json' });

    const error = await failureOf(InterconnectException, client.request('object', {} as never));

    expect(String(error)).not.toMatch(INVISIBLE);
    expect(String(error)).toContain('x\\n[Nest] 1');
    const carried = { name: HOSTILE, message: HOSTILE, words: HOSTILE };
    expect(error).toHaveProperty('words', HOSTILE);
    expect(error.getError()).toEqual(carried);
    expect(JSON.parse(JSON.stringify(error))).toEqual(carried);
  });

  it('while one of our own keeps its words', () => {
    expect(new InterconnectException(0x8001, 'two\nlines').message).toBe('two\nlines');
  });

  it('and what is not JSON is quoted so', async () => {
    const client = clientOf(await hostileListener(), { encoding: 'json' });

    const error: unknown = await client.request('event', 'words' as never).then(
      () => undefined,
      (reason: unknown) => reason,
    );

    const chain: Error[] = [];
    for (let each = error; each instanceof Error; each = each.cause) chain.push(each);
    expect(chain).toHaveLength(3);
    expect(chain[2]).toBeInstanceOf(SyntaxError);
    for (const { message, stack = '' } of chain) {
      expect(message).not.toMatch(INVISIBLE);
      for (const line of stack.split('\n')) expect(line).not.toMatch(INVISIBLE);
    }
  });
});

/** A listener of the core that answers as the message asks it to, with hostile words. */
async function hostileListener(): Promise<Listener> {
  const listener = new Listener({ host: '127.0.0.1', port: 0 });
  ends.push(() => listener.close());
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      if (session.name === 'refused') return session.reject(0x8001, HOSTILE);
      session.on('message', (message) => {
        const asked = message.data.toString();
        if (asked === 'close') void connection.close({ code: 0x8001, reason: HOSTILE });
        else if (asked === '"words"') message.respond(Buffer.from(`{"a": ${HOSTILE}`));
        else message.reject(0x8001, HOSTILE);
      });
      session.accept();
    });
  });
  await listener.listen();
  return listener;
}

function clientOf(
  listener: Listener,
  options: ConstructorParameters<typeof InterconnectClient>[0] = {},
): InterconnectClient {
  const { port } = listener.address as TcpAddress;
  const client = new InterconnectClient({ host: '127.0.0.1', port, reconnect: false, ...options });
  ends.push(() => client.close());
  return client;
}
