import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { AsyncLocalStorage } from 'node:async_hooks';
import { catchError, firstValueFrom, lastValueFrom, of } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  INTERCONNECT_TRANSPORT,
  InterconnectContext,
  InterconnectException,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { deferred, failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const told: string[] = [];
let released = deferred();
let running = 0;
const scope = new AsyncLocalStorage<string>();

@Controller()
class HooksController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    told.push('handler');
    return data;
  }

  @MessagePattern('observable')
  observable(@Payload() data: Buffer): Observable<Buffer> {
    told.push('handler');
    return of(data);
  }

  @MessagePattern('failing')
  failing(): void {
    told.push('handler');
    throw new RpcException('failed');
  }

  @EventPattern('event')
  event(@Payload() _data: Buffer): void {
    told.push('handler');
  }

  @MessagePattern('one at a time', { concurrency: 1 })
  oneAtATime(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('slow one at a time', { concurrency: 1 })
  async slowOneAtATime(): Promise<void> {
    running += 1;
    await released.promise;
  }

  @MessagePattern('scope')
  scope(): Buffer {
    return Buffer.from(scope.getStore() ?? 'none');
  }
}

let loopback: Loopback;
const bytes = Buffer.from('x');

async function start(configure: (server: InterconnectServer) => void): Promise<void> {
  told.length = 0;
  loopback = await Loopback.start({
    controllers: [HooksController],
    configure: (_app, server) => configure(server),
  });
}
afterEach(() => loopback.close());

function hookBothEnds(server: InterconnectServer): void {
  server.setOnProcessingStartHook((transportId, context, done) => {
    told.push(`start ${String(transportId === INTERCONNECT_TRANSPORT)} ${patternOf(context)}`);
    void done().then(() => told.push('done'));
  });
  server.setOnProcessingEndHook((transportId, context) => {
    told.push(`end ${String(transportId === INTERCONNECT_TRANSPORT)} ${patternOf(context)}`);
  });
}

function patternOf(context: unknown): string {
  return context instanceof InterconnectContext ? context.getPattern() : 'no context';
}

describe('processing hooks', () => {
  it.each(['echo', 'observable', 'failing'])('surround a message, once: %s', async (pattern) => {
    await start(hookBothEnds);

    await firstValueFrom(loopback.client().send(pattern, bytes)).catch(() => undefined);

    await until(() => told.includes('done'));
    expect(told).toEqual([`start true ${pattern}`, 'handler', `end true ${pattern}`, 'done']);
  });

  it('surround an event, once', async () => {
    await start(hookBothEnds);

    await lastValueFrom(loopback.client().emit('event', bytes));

    await until(() => told.includes('done'));
    expect(told).toEqual(['start true event', 'handler', 'end true event', 'done']);
  });

  it('may be set when the server listens already', async () => {
    await start(() => {});
    const client = loopback.client();
    await firstValueFrom(client.send('echo', bytes));

    hookBothEnds(loopback.server);
    await firstValueFrom(client.send('echo', bytes));

    await until(() => told.includes('done'));
    expect(told).toEqual(['handler', 'start true echo', 'handler', 'end true echo', 'done']);
  });

  it('may be an end hook alone', async () => {
    await start((server) => server.setOnProcessingEndHook(() => told.push('end')));

    await firstValueFrom(loopback.client().send('echo', bytes));

    await until(() => told.includes('end'));
    expect(told).toEqual(['handler', 'end']);
  });

  it('put the handler into the async scope of the start hook', async () => {
    await start((server) =>
      server.setOnProcessingStartHook((_id, _context, done) => {
        void scope.run('span 7', done);
      }),
    );

    expect(await firstValueFrom(loopback.client().send('scope', bytes))).toEqual(
      Buffer.from('span 7'),
    );
  });
});

describe('a hook that fails', () => {
  it('at the start rejects the message as an internal error', async () => {
    await start((server) =>
      server.setOnProcessingStartHook(() => {
        throw new Error('secret of the hook');
      }),
    );

    const error = await failure(loopback.client().send('echo', bytes));

    expect(error).toBeInstanceOf(InterconnectException);
    expect(error).toMatchObject({ message: 'Internal server error' });
    expect(loopback.log.find('error', 'secret of the hook')).toHaveLength(1);
  });

  it('at the start gives the place of concurrency back', async () => {
    let calls = 0;
    await start((server) =>
      server.setOnProcessingStartHook((_id, _context, done) => {
        calls += 1;
        if (calls === 1) throw new Error('only the first');
        void done();
      }),
    );
    const client = loopback.client();

    await failure(client.send('one at a time', bytes));

    expect(await firstValueFrom(client.send('one at a time', bytes))).toEqual(bytes);
  });

  it('while its handler runs keeps the place of concurrency until that has ended', async () => {
    released = deferred();
    running = 0;
    await start((server) =>
      server.setOnProcessingStartHook((_id, _context, done) => {
        void done();
        throw new Error('too late');
      }),
    );
    const client = loopback.client();

    const first = await failure(client.send('slow one at a time', bytes));
    const second = failure(client.send('slow one at a time', bytes));
    await firstValueFrom(client.send('observable', bytes).pipe(catchError(() => of(bytes))));
    expect(running).toBe(1);
    released.resolve();

    for (const error of [first, await second]) {
      expect(error).toMatchObject({ message: 'Internal server error' });
    }
    expect(running).toBe(2);
  });

  it('at the end does not change the outcome', async () => {
    await start((server) =>
      server.setOnProcessingEndHook(() => {
        throw new Error('end hook broke');
      }),
    );

    expect(await firstValueFrom(loopback.client().send('echo', bytes))).toEqual(bytes);
    await until(() => loopback.log.find('error', 'end hook broke').length > 0);
  });
});
