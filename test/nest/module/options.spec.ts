import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectError,
  InterconnectException,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type {
  InterconnectClientOptions,
  InterconnectServerOptions,
} from '../../../src/nest/index.js';
import {
  toConnectOptions,
  toListenerOptions,
} from '../../../src/nest/common/interconnect.options.js';
import { certificates } from '../../support/peers/certificates.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { failureOf, until } from '../../support/nest/async.js';
import type { LogRecorder } from '../../support/nest/log-recorder.js';
import { Loopback, createMicroservice } from '../../support/nest/loopback.js';

@Controller()
class OptionsController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('who')
  who(@Ctx() context: InterconnectContext): Buffer {
    const { encrypted, authorized, certificate } = context.getPeer();
    return Buffer.from([encrypted, authorized, certificate?.subject.CN].join(' '));
  }

  @MessagePattern('refused')
  refused(): never {
    throw new InterconnectException(Code.FAILED, 'too much', Buffer.alloc(4096));
  }

  @MessagePattern('large')
  large(): Buffer {
    return Buffer.alloc(4096);
  }
}

let loopback: Loopback | undefined;
afterEach(async () => {
  await loopback?.close();
  loopback = undefined;
});

async function withClient(
  server: InterconnectServerOptions,
  client: InterconnectClientOptions = {},
): Promise<{ client: InterconnectClient; server: InterconnectServer; log: LogRecorder }> {
  loopback = await Loopback.start({ controllers: [OptionsController], server });
  return { client: loopback.client(client), server: loopback.server, log: loopback.log };
}

async function call(client: InterconnectClient, pattern: string): Promise<string> {
  const answer = await firstValueFrom(client.send(pattern, Buffer.from('x')));
  return answer.toString();
}

describe('authenticate', () => {
  const options: InterconnectServerOptions = {
    authenticate: (handshake) => {
      if (handshake.data.toString() === 'secret') handshake.accept();
      else handshake.reject(Code.FORBIDDEN, 'unknown token', Buffer.from('detail'));
    },
  };

  it('lets in who shows the right connect data', async () => {
    const { client } = await withClient(options, { data: Buffer.from('secret') });

    expect(await call(client, 'echo')).toBe('x');
  });

  it('keeps everyone else out, with code, reason and data', async () => {
    const { client } = await withClient(options, { data: Buffer.from('guess') });

    const error = await failureOf(InterconnectError, client.send('echo', Buffer.alloc(0)));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      executed: 'no',
      status: Code.FORBIDDEN,
      reason: 'unknown token',
    });
    expect(error.data).toEqual(Buffer.from('detail'));
  });

  it('that throws keeps out, and is told to log and listeners', async () => {
    const authenticate = (): never => {
      throw new Error('judge broke');
    };
    const { client, server, log } = await withClient({ authenticate }, { whenOffline: 'fail' });
    const errors: unknown[] = [];
    server.on('error', (error) => errors.push(error));

    await failureOf(InterconnectError, client.connect());

    expect(log.find('error', 'judge broke')).toHaveLength(1);
    expect(errors).toEqual([expect.objectContaining({ message: 'judge broke' })]);
  });
});

describe('tlsOptions', () => {
  it('encrypt, and show the handler the verified certificate of the caller', async () => {
    const { ca, server, client } = await certificates();
    const started = await withClient(
      { tlsOptions: { ...server, ca, requestCert: true, rejectUnauthorized: true } },
      { tlsOptions: { ca, ...client } },
    );

    expect(await call(started.client, 'who')).toBe('true true replica-7');
  });

  it('let a client refuse a server that its authority does not know', async () => {
    const { server, strangeCa } = await certificates();
    const started = await withClient({ tlsOptions: server }, { tlsOptions: { ca: strangeCa } });

    const error = await failureOf(InterconnectError, started.client.connect());

    expect(error.code).toBe('IC_ERR_CONNECT');
  });

  it('have the server log who comes without TLS, and once a second at most', async () => {
    const clock = new ManualClock();
    const { server } = await certificates();
    const ours = { tlsOptions: server, clock };
    const { client, log } = await withClient(ours, { whenOffline: 'fail' });
    const lines = (): string[] => log.find('warn', 'This port takes TLS');

    await failureOf(InterconnectError, client.connect());
    await until(() => lines().length > 0);
    await failureOf(InterconnectError, client.connect());
    await failureOf(InterconnectError, client.connect());
    clock.advance(999);
    expect(lines()).toHaveLength(1);

    clock.advance(1);
    await failureOf(InterconnectError, client.connect());

    await until(() => lines().length === 2);
  });

  it('are not there by default', async () => {
    const { client } = await withClient({});

    expect(await call(client, 'who')).toBe('false false ');
  });
});

describe('path', () => {
  it('serves over a Unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'interconnect-'));
    const path = join(folder, 'nest.sock');
    const server = new InterconnectServer({ path });
    const app = await createMicroservice(server, { controllers: [OptionsController] });
    const client = new InterconnectClient({ path });

    expect(await app.listen()).toEqual({ path });
    expect(await call(client, 'echo')).toBe('x');

    await client.close();
    await app.close();
    await rm(folder, { recursive: true });
  });
});

describe('the address', () => {
  it.each([{}, { host: undefined, port: undefined }])(
    "is that of Nest's TCP transport by default: %p",
    (given) => {
      const options = given as InterconnectClientOptions & InterconnectServerOptions;

      const ours = { whenOffline: 5000, sessionTimeout: 0 };
      expect(toConnectOptions(options)).toEqual({ host: 'localhost', port: 3000, ...ours });
      expect(toListenerOptions(options)).toEqual({ host: 'localhost', port: 3000 });
    },
  );

  it('is what the core gets, beside its own options and nothing of Nest', () => {
    const ours = { port: 5000, encoding: 'json', idleTimeout: 7 } as const;

    const forClient = toConnectOptions({ ...ours, oneWay: true, connectOnBootstrap: true });
    const forServer = toListenerOptions({ ...ours, shutdownTimeout: 1, transportId: Symbol('x') });

    const core = { host: 'localhost', port: 5000, idleTimeout: 7 };
    expect(forClient).toEqual({ ...core, whenOffline: 5000, sessionTimeout: 0 });
    expect(forServer).toEqual(core);
  });
});

describe('the limits', () => {
  it('of the caller hold for responses: rejected, and said to both sides', async () => {
    const { client, log } = await withClient({}, { maxMessageSize: 1024 });

    const error = await failureOf(InterconnectException, client.send('large', Buffer.alloc(0)));

    expect(error.code).toBe(Code.REPLY_TOO_LARGE);
    expect(error.message).toContain('The handler of "large" returned what cannot be sent');
    expect(log.find('error', '"large" returned what cannot be sent')).toHaveLength(1);
  });

  it('of the caller hold for rejections: what does not fit is left out, and the rejection arrives', async () => {
    const { client, log } = await withClient({}, { maxMessageSize: 1024 });

    const error = await failureOf(InterconnectException, client.send('refused', Buffer.alloc(0)));

    expect(error).toMatchObject({
      code: Code.REPLY_TOO_LARGE,
      reason: 'too much',
      data: undefined,
    });
    expect(log.find('error', 'The rejection of "refused" cannot be sent')).toHaveLength(1);
  });

  it('of the server hold for messages', async () => {
    const { client } = await withClient({ maxMessageSize: 1024 });

    const error = await failureOf(InterconnectError, client.send('echo', Buffer.alloc(4096)));

    expect(error).toMatchObject({ code: 'IC_ERR_TOO_LARGE', executed: 'no' });
  });

  it('that are wrong fail the call, by name', async () => {
    const { client } = await withClient({}, { maxFrameSize: 1 });

    const error = await failureOf(InterconnectError, client.send('echo', Buffer.alloc(0)));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toContain('maxFrameSize');
  });
});
