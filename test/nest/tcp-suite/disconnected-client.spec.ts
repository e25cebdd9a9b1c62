import { afterEach, describe, expect, it } from '@jest/globals';
import { Body, Controller, Post, RequestTimeoutException } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { ClientProxyFactory } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { catchError, finalize, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { InterconnectClient, isInterconnectError } from '../../../src/nest/index.js';
import { freePort } from '../../support/tcp-suite/sum-application.js';

@Controller()
class DisconnectedController {
  @Post()
  call(@Body() options: { host: string; port: number }): Observable<number> {
    const client = ClientProxyFactory.create({
      customClass: InterconnectClient,
      options: { ...options, encoding: 'json', whenOffline: 'fail' },
    });
    return client.send<number>({ cmd: 'sum' }, [1, 2, 3]).pipe(
      catchError((error: unknown) => {
        const isUnreachable = isInterconnectError(error) && error.code === 'IC_ERR_OFFLINE';
        return throwError(() =>
          isUnreachable ? new RequestTimeoutException('unreachable') : new Error('another reason'),
        );
      }),
      finalize(() => void client.close()),
    );
  }
}

let app: INestApplication;
afterEach(() => app.close());

describe('a client whose server is not there', () => {
  it('fails its call, with an error that can be told from all others', async () => {
    const module = await Test.createTestingModule({
      controllers: [DisconnectedController],
    }).compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');

    const { status } = await fetch(await app.getUrl(), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ host: '127.0.0.1', port: await freePort() }),
    });

    expect(status).toBe(408);
  });
});
