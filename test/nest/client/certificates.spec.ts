import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { InterconnectClient } from '../../../src/nest/index.js';
import { certificates } from '../../support/peers/certificates.js';
import type { Certificates } from '../../support/peers/certificates.js';
import { Loopback, portOf } from '../../support/nest/loopback.js';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(data: Buffer): Buffer {
    return data;
  }
}

const bytes = Buffer.from('x');
let made: Certificates;
let tlsOptions: TlsOptions;
let loopback: Loopback;

beforeEach(async () => {
  made = await certificates();
  tlsOptions = { ...made.server };
  loopback = await Loopback.start({ controllers: [EchoController], server: { tlsOptions } });
});
afterEach(() => loopback.close());

function newClient(port = loopback.port): InterconnectClient {
  return loopback.client({ port, tlsOptions: { ca: made.ca } });
}

/** The name in the certificate that the server shows to a client. */
async function shownTo(client: InterconnectClient): Promise<unknown> {
  await client.request('echo', bytes);
  return client.unwrap<TLSSocket>().getPeerCertificate().subject.CN;
}

describe('new certificates', () => {
  it('are shown to who connects from now on, without a stop', async () => {
    const early = newClient();
    expect(await shownTo(early)).toBe('localhost');

    loopback.server.unwrap<Server>().setSecureContext(made.client);

    expect(await shownTo(newClient())).toBe('replica-7');
    // Whoever is connected does not notice.
    expect(await shownTo(early)).toBe('localhost');
  });

  it('are those that tlsOptions holds when the server listens again', async () => {
    expect(await shownTo(newClient())).toBe('localhost');
    await loopback.server.close();

    Object.assign(tlsOptions, made.client);
    const address = await new Promise<unknown>(
      (resolve) => void loopback.server.listen((error, bound) => resolve(error ?? bound)),
    );

    expect(await shownTo(newClient(portOf(address)))).toBe('replica-7');
  });
});
