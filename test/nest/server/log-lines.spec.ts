import { beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Code, connect } from '../../../src/endpoint/index.js';
import type { Connection } from '../../../src/endpoint/index.js';
import { InterconnectClient } from '../../../src/nest/index.js';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { afterTest } from '../../support/after-test.js';
import { until } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';
import { Loopback } from '../../support/nest/loopback.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

const TIMES = 40;
const NONE = Buffer.alloc(0);

@Controller()
class LoudController {
  @MessagePattern('bytes')
  bytes(): void {}

  @MessagePattern('number')
  number(): unknown {
    return 7;
  }

  @MessagePattern('details')
  details(): never {
    throw new RpcException('x'.repeat(70_000));
  }

  @MessagePattern('slow', { timeout: 5 })
  slow(): Promise<never> {
    return new Promise(() => {});
  }

  @MessagePattern('late')
  late(): Promise<never> {
    return new Promise(() => {});
  }

  @EventPattern('event')
  event(@Payload() _data: Buffer): void {
    throw new RpcException('no');
  }
}

let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
});

async function serve(options: InterconnectServerOptions = {}): Promise<Loopback> {
  const server = { clock, ...options };
  const loopback = await Loopback.start({ controllers: [LoudController], server });
  loopback.server.addHandler('direct', () => Promise.reject(new Error('past the filters')));
  afterTest(() => loopback.close());
  return loopback;
}

async function dial({ port }: Loopback): Promise<Connection> {
  const connection = await connect({ host: '127.0.0.1', port });
  afterTest(() => connection.close());
  return connection;
}

/** Sends as many messages as a peer likes. */
async function sendTo(loopback: Loopback, pattern: string): Promise<void> {
  const connection = await dial(loopback);
  const session = connection.openSession(pattern);
  await Promise.all(Array.from({ length: TIMES }, () => session.send(Buffer.from('{'))));
}

/** The lines that are printed at once, and with those at the end of the first pause. */
function linesOf({ log }: { log: LogRecorder }, text: string): string[] {
  const levels = ['warn', 'error'] as const;
  return levels.flatMap((level) => log.find(level, text));
}

function expectFew(loopback: { log: LogRecorder }, text: string): void {
  expect(linesOf(loopback, text)).toHaveLength(1);
  clock.advance(1000);
  const lines = linesOf(loopback, text);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain(`(${TIMES - 1} more times since the last such line)`);
}

describe('lines that a peer can cause at any rate are printed once a second, with their number', () => {
  it.each([
    ['a result that cannot be sent', 'number', 'returned a number'],
    ['a handler that fails past the filters', 'direct', 'past the filters'],
    ['an exception with too many details', 'details', 'details have 70000 bytes'],
    ['an event handler that refuses', 'event', 'failed: no'],
  ])('of %s', async (_what, pattern, text) => {
    const loopback = await serve();

    await sendTo(loopback, pattern);

    expectFew(loopback, text);
  });

  it('of a payload that cannot be decoded', async () => {
    const loopback = await serve({ encoding: 'json' });

    await sendTo(loopback, 'bytes');

    expectFew(loopback, 'cannot be decoded');
  });

  it('of a stream that is no request', async () => {
    const loopback = await serve();
    const session = (await dial(loopback)).openSession('bytes');

    const sent = Array.from({ length: TIMES }, () => session.send([NONE]));
    await Promise.all(sent);

    expectFew(loopback, 'takes no stream');
  });

  it('of unknown patterns, whose names it tells once', async () => {
    const loopback = await serve();
    const connection = await dial(loopback);

    const names = Array.from({ length: TIMES }, (_, index) => `unknown ${index}`);
    await Promise.all(
      names.map((name) =>
        connection
          .openSession(name)
          .send(NONE)
          .catch(() => undefined),
      ),
    );

    expectFew(loopback, 'No handler for the pattern');
    expect(loopback.log.find('debug', 'Known patterns')).toHaveLength(1);
  });

  it.each([
    ['slow', 5, 'did not settle within'],
    ['late', 20, 'did not settle a message in time'],
  ])('of handlers that take too long: %s', async (pattern, time, text) => {
    const loopback = await serve();
    const session = (await dial(loopback)).openSession(pattern);
    const started: unknown[] = [];
    loopback.server.setOnProcessingStartHook((_id, _context, handle) => {
      started.push(0);
      void handle();
    });

    for (let count = 0; count < TIMES; count++) {
      session.send(NONE, { timeout: 60_000 }).catch(() => undefined);
    }
    await until(() => started.length === TIMES);
    clock.advance(pattern === 'late' ? 60_000 : time);

    expectFew(loopback, text);
  });

  it('of an authentication that throws', async () => {
    const loopback = await serve({
      authenticate: () => {
        throw new Error('the database is away');
      },
      // By default, an address that is refused thirty times is not judged any more.
      perAddress: { refusalsPerMinute: 2 * TIMES },
    });

    for (let count = 0; count < TIMES; count++) {
      await connect({ host: '127.0.0.1', port: loopback.port }).catch(() => undefined);
    }

    expectFew(loopback, 'the database is away');
  });

  it('of a callback that throws', async () => {
    const loopback = await serve();
    loopback.server.on('peer', () => {
      throw new Error('the callback fails');
    });

    for (let count = 0; count < TIMES; count++) await dial(loopback);
    await until(() => loopback.server.peers.size === TIMES);

    expectFew(loopback, 'the callback fails');
  });
});

describe('lines of a client that its server can cause', () => {
  it('are printed once a second for events that nobody observes', async () => {
    const loopback = await serve();
    const client = new InterconnectClient({ host: '127.0.0.1', port: loopback.port, clock });
    afterTest(() => client.close());
    await client.connect();

    for (let count = 0; count < TIMES; count++) client.emit('event', NONE);
    await client.request('bytes', NONE);
    await until(() => linesOf(loopback, 'nobody looks').length === 1);
    const session = (await client.connect()).openSession('bytes');
    await session.send(NONE);

    expectFew(loopback, 'nobody looks');
  });

  it('share one log for all the peers of a server', async () => {
    const loopback = await serve();
    for (let count = 0; count < TIMES; count++) await dial(loopback);
    await until(() => loopback.server.peers.size === TIMES);

    const outcomes = await Promise.all(
      [...loopback.server.peers].map(async ({ client, connection }) => {
        connection.on('session', (session) => session.reject(Code.SESSION_REFUSED, 'no'));
        client.emit('gone', NONE);
        await client.request('gone', NONE).catch(() => undefined);
      }),
    );

    expect(outcomes).toHaveLength(TIMES);
    expectFew(loopback, 'nobody looks');
  });
});
