/** That the second run is on Nest 11, and what becomes there of what only Nest 12 has. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, Ctx, MessagePattern, Server } from '@nestjs/microservices';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectServer,
} from '../../src/nest/index.js';
import { Loopback } from '../support/nest/loopback.js';

/** From where it matters: beside this file even Node would find Nest 11. */
const require = createRequire(new URL('../../src/nest/index.ts', import.meta.url));
const manifest = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  devDependencies: Record<string, string>;
};

@Controller()
class MetadataController {
  @MessagePattern('metadata')
  metadata(@Ctx() context: InterconnectContext): Buffer {
    return Buffer.from(JSON.stringify(context.getMetadata()));
  }
}

let loopback: Loopback | undefined;
afterEach(() => loopback?.close());

describe('the second run', () => {
  it.each(Object.keys(manifest.devDependencies))('loads %s 11', (name) => {
    expect(require(`${name}/package.json`)).toMatchObject({
      version: expect.stringMatching(/^11\./),
    });
  });

  it('gives our classes the base classes of Nest 11', () => {
    expect(InterconnectClient.prototype).toBeInstanceOf(ClientProxy);
    expect(InterconnectServer.prototype).toBeInstanceOf(Server);
    expect(ClientProxy).toBe(require('@nestjs/microservices').ClientProxy);
  });

  it.each(['rxjs', 'reflect-metadata'])('shares %s with Nest 12: there is one copy', (name) => {
    expect(existsSync(new URL(`node_modules/${name}`, import.meta.url))).toBe(false);
  });
});

describe('on Nest 11', () => {
  it('there is no dispatch hook; metadata travels with the record or the options', async () => {
    loopback = await Loopback.start({ controllers: [MetadataController] });
    const client = loopback.client();
    const data = Buffer.alloc(0);

    // @ts-expect-error -- nor do the types have one; where they do, they are not those of Nest 11
    expect(client.setOnDispatchHook).toBeUndefined();
    expect(await client.request('metadata', data)).toEqual(Buffer.from('{}'));
    expect(await client.request('metadata', data, { metadata: { trace: '1' } })).toEqual(
      Buffer.from('{"trace":"1"}'),
    );
  });

  it('there is no pre-request hook, and no way to the server but unwrap()', async () => {
    loopback = await Loopback.start();

    expect('registerPreRequestHook' in loopback.app).toBe(false);
    expect('getTransportServer' in loopback.app).toBe(false);
    expect(() => loopback?.app.unwrap()).not.toThrow();
  });
});
