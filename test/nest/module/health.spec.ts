import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { HealthCheckService, MicroserviceHealthIndicator, TerminusModule } from '@nestjs/terminus';
import type { HealthCheckResult, HealthIndicatorFunction } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import type { TestingModule } from '@nestjs/testing';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import {
  InterconnectClient,
  InterconnectHealthIndicator,
  InterconnectModule,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type { InterconnectClientOptions } from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, until } from '../../support/nest/async.js';
import { Loopback, portOf } from '../../support/nest/loopback.js';
import { freePort } from '../../support/tcp-suite/sum-application.js';

const bytes = Buffer.from('x');

@Controller()
class GateController {
  readonly begun = deferred();
  readonly gate = deferred();

  @MessagePattern('gate')
  async wait(): Promise<void> {
    this.begun.resolve();
    await this.gate.promise;
  }
}

let loopback: Loopback;
let module: TestingModule;
let health: HealthCheckService;
let interconnect: InterconnectHealthIndicator;
let before: string[];

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [GateController] });
  module = await Test.createTestingModule({
    imports: [
      TerminusModule.forRoot({ logger: false }),
      InterconnectModule.forRoot({ client: { host: '127.0.0.1', port: loopback.port } }),
    ],
  }).compile();
  health = module.get(HealthCheckService);
  interconnect = module.get(InterconnectHealthIndicator);
  before = resources();
});
afterEach(async () => {
  loopback.app.get(GateController).gate.resolve();
  await module.close();
  await loopback.close();
});

/** What keeps this process running, by kind. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout|GetAddrInfo/.test(kind));
}

/** Handles close a turn late. */
function nothingLeft(): Promise<void> {
  return until(() => resources().length <= before.length);
}

/** What Terminus answers with: 200 and the result, or 503 and the result. */
async function checked(...indicators: HealthIndicatorFunction[]): Promise<HealthCheckResult> {
  try {
    return await health.check(indicators);
  } catch (error) {
    return (error as { getResponse(): HealthCheckResult }).getResponse();
  }
}

/** A server that takes sockets and says nothing. */
async function silentServer(): Promise<Server> {
  const server = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** The server has begun to shut down, and its one handler still runs. */
async function drain(): Promise<{ closed: Promise<unknown>; call: Promise<unknown> }> {
  const call = loopback.client().request('gate', bytes);
  const controller = loopback.app.get(GateController);
  await controller.begun.promise;
  const closed = loopback.server.close();
  return { call, closed };
}

describe("Terminus's own check of a microservice", () => {
  /** Its type wants one of Nest's own transports. */
  async function pinged(options: InterconnectClientOptions, timeout?: number) {
    const indicator = await module.resolve(MicroserviceHealthIndicator);
    const target = {
      customClass: InterconnectClient,
      options: { host: '127.0.0.1', ...options },
      ...(timeout !== undefined && { timeout }),
    };
    const { details } = await checked(() => indicator.pingCheck('svc', target as never));
    return details['svc'];
  }

  it('is up where a server listens, and leaves nothing', async () => {
    expect(await pinged({ port: loopback.port })).toMatchObject({ status: 'up' });

    await nothingLeft();
    await until(() => loopback.server.peers.size === 0);
  });

  it.each([
    ['', {}],
    [', though the client would try for ever once connected', { reconnect: { minDelay: 1 } }],
  ])('is down where nobody listens%s, and leaves nothing', async (_how, options) => {
    const whenOffline = 'fail';
    expect(await pinged({ port: await freePort(), whenOffline, ...options })).toMatchObject({
      status: 'down',
      message: expect.stringContaining('ECONNREFUSED'),
    });

    await nothingLeft();
  });

  it('is down within its timeout where somebody listens and says nothing', async () => {
    const clock = new ManualClock();
    const server = await silentServer();

    // Terminus has no clock but the real one.
    expect(await pinged({ port: portOf(server.address()), clock }, 20)).toMatchObject({
      status: 'down',
    });

    // It does not close the client before that has given up by itself: then nothing is left.
    await until(() => clock.pending > 0);
    clock.advance(10_000);
    server.close();
    await nothingLeft();
    expect(clock.pending).toBe(0);
  });

  it('is down where the server drains', async () => {
    const { call, closed } = await drain();

    expect(await pinged({ port: loopback.port })).toMatchObject({ status: 'down' });

    loopback.app.get(GateController).gate.resolve();
    await Promise.all([call, closed]);
  });
});

describe('check()', () => {
  it('is up after a round trip over the own connection of the client, which it opens', async () => {
    const client = module.get(InterconnectClient);

    const { status, details } = await checked(() => interconnect.check('svc', client));

    expect(status).toBe('ok');
    expect(details).toEqual({
      svc: { status: 'up', state: 'connected', latency: expect.any(Number) },
    });
    expect(loopback.server.peers.size).toBe(1);
    await checked(() => interconnect.check('svc', client));
    expect(loopback.server.peers.size).toBe(1);
  });

  it('is up for a peer that is connected, and down when it has gone', async () => {
    await module.get(InterconnectClient).connect();
    await until(() => loopback.server.peers.size === 1);
    const [peer] = loopback.server.peers;
    if (peer === undefined) throw new Error('There is no peer.');

    expect(await interconnect.check('peer', peer.client)).toMatchObject({ peer: { status: 'up' } });
    await module.get(InterconnectClient).close();
    await until(() => loopback.server.peers.size === 0);

    expect(await interconnect.check('peer', peer.client)).toMatchObject({
      peer: { status: 'down', state: 'disconnected', code: 'IC_ERR_CLOSED' },
    });
  });

  it('is down where nobody listens, and Terminus says so', async () => {
    const client = loopback.client({ port: await freePort() });

    const { status, error } = await checked(() => interconnect.check('svc', client));

    expect(status).toBe('error');
    expect(error).toEqual({
      svc: {
        status: 'down',
        state: 'disconnected',
        code: 'IC_ERR_CONNECT',
        message: expect.stringContaining('ECONNREFUSED'),
        downFor: expect.any(Number),
      },
    });
  });

  it.each([
    ['nobody has answered', undefined, 1000],
    ['its own timeout is over', 50, 50],
  ])('is down when %s, and leaves no timer', async (_what, timeout, milliseconds) => {
    const clock = new ManualClock();
    const server = await silentServer();
    const client = loopback.client({ port: portOf(server.address()) });
    const checking = interconnect.check('svc', client, {
      clock,
      ...(timeout !== undefined && { timeout }),
    });
    let isOver = false;
    void checking.then(() => (isOver = true));

    clock.advance(milliseconds - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    clock.advance(1);

    expect(await checking).toMatchObject({ svc: { status: 'down', code: 'IC_ERR_TIMEOUT' } });
    expect(clock.pending).toBe(0);
    await client.close();
    server.close();
    await nothingLeft();
  });

  it('leaves no timer where there was an answer', async () => {
    const clock = new ManualClock();

    await interconnect.check('svc', module.get(InterconnectClient), { clock });

    expect(clock.pending).toBe(0);
  });

  it('is down while the connection looks for another socket', async () => {
    const client = loopback.client({ reconnect: { minDelay: 100_000, maxDelay: 100_000 } });
    const connection = await client.connect();
    connection.socket.destroy();
    await until(() => connection.status === 'detached');

    expect(await interconnect.check('svc', client)).toMatchObject({
      svc: {
        status: 'down',
        state: 'reconnecting',
        code: 'IC_ERR_OFFLINE',
        message: expect.stringContaining('The connection was lost'),
        downFor: expect.any(Number),
      },
    });
  });

  it('is down, and never throws, whatever the client does', async () => {
    class Broken extends InterconnectClient {
      override connect(): never {
        throw new TypeError('broken');
      }
    }

    expect(await interconnect.check('svc', new Broken())).toEqual({
      svc: { status: 'down', state: 'disconnected', message: 'broken' },
    });
  });
});

describe('checkServer()', () => {
  it('is up while the server listens, and tells how many are connected', async () => {
    const { server } = loopback;
    await module.get(InterconnectClient).connect();
    await until(() => server.peers.size === 1);

    const { details } = await checked(() => interconnect.checkServer('server', server));

    expect(details).toEqual({ server: { status: 'up', state: 'connected', peers: 1 } });
  });

  it('is down before it listens', async () => {
    expect(interconnect.checkServer('server', module.get(InterconnectServer))).toEqual({
      server: { status: 'down', state: 'disconnected', peers: 0 },
    });
  });

  it('is down from the moment it begins to shut down, while it lets what runs end', async () => {
    const { call, closed } = await drain();

    const { status, details } = await checked(() =>
      interconnect.checkServer('server', loopback.server),
    );

    expect(status).toBe('error');
    expect(details).toEqual({ server: { status: 'down', state: 'draining', peers: 1 } });
    loopback.app.get(GateController).gate.resolve();
    await Promise.all([call, closed]);
    expect(interconnect.checkServer('server', loopback.server)).toEqual({
      server: { status: 'down', state: 'disconnected', peers: 0 },
    });
  });

  it('is up for a server that connects, while it has its connection', async () => {
    const server = new InterconnectServer({
      connect: { host: '127.0.0.1', port: loopback.port },
    });
    await server.listen(() => {});

    expect(interconnect.checkServer('device', server)).toEqual({
      device: { status: 'up', state: 'connected', peers: 1 },
    });
    await server.close();
    expect(interconnect.checkServer('device', server).device.status).toBe('down');
  });
});
