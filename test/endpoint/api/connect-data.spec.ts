import { describe, expect, it } from '@jest/globals';
import { Code, connect, type Handshake, type ListenerOptions } from 'nestjs-interconnect/core';
import { addressOf, connected, listening } from '../../support/peers/connected.js';
import { failure, next, thrown } from '../../support/events.js';

const LARGEST = 15 * 1024;

describe('connect data', () => {
  it('shows the listener what the dialer provided', async () => {
    const { acceptor } = await connected({}, { data: Buffer.from('who I am') });

    expect(acceptor.data).toEqual(Buffer.from('who I am'));
  });

  it('shows the dialer what the listener accepted with', async () => {
    const authenticate: ListenerOptions['authenticate'] = (handshake) =>
      handshake.accept(Buffer.concat([Buffer.from('hello '), handshake.data]));

    const { dialer } = await connected({ authenticate }, { data: Buffer.from('replica-7') });

    expect(dialer.data).toEqual(Buffer.from('hello replica-7'));
  });

  it('is empty where nobody provides any', async () => {
    const { acceptor, dialer } = await connected();

    expect([acceptor.data, dialer.data]).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
  });

  it.each([
    ['Uint8Array', Uint8Array.of(1, 2, 3).subarray(1)],
    ['ArrayBuffer', Uint8Array.of(2, 3).buffer],
    ['DataView', new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2)],
  ])('may be a %s', async (_type, data) => {
    const { acceptor } = await connected({}, { data });

    expect(acceptor.data).toEqual(Buffer.from([2, 3]));
  });

  it('may have 15 KiB, and so may the answer', async () => {
    const data = Buffer.alloc(LARGEST, 'x');
    const agent = 'a'.repeat(128);
    const authenticate: ListenerOptions['authenticate'] = (handshake) => handshake.accept(data);

    const { acceptor, dialer } = await connected({ authenticate, agent }, { data, agent });

    expect([acceptor.data, dialer.data]).toEqual([data, data]);
    expect([acceptor.peer.agent, dialer.peer.agent]).toEqual([agent, agent]);
  });

  it('is refused beyond, before a socket exists [IC-6.7]', async () => {
    const error = await failure(connect({ port: 1, data: Buffer.alloc(LARGEST + 1) }));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toMatch(/15361 bytes exceeds 15360.*message instead/);
  });

  it('is refused beyond by the handshake that accepts or rejects', async () => {
    const errors: unknown[] = [];
    const authenticate = (handshake: Handshake): void => {
      const data = Buffer.alloc(LARGEST + 1);
      errors.push(thrown(() => handshake.accept(data)).message);
      errors.push(thrown(() => handshake.reject(undefined, '', data)).message);
      handshake.accept();
    };

    await connected({ authenticate });

    expect(errors).toEqual([
      expect.stringMatching(/15361 bytes.*15360/),
      expect.stringMatching(/15361 bytes.*15360/),
    ]);
  });

  it('carries the longest reason beside the data that fits then', async () => {
    const reason = 'r'.repeat(1024);
    const data = Buffer.alloc(LARGEST - 1024, 'x');
    const listener = await listening({
      authenticate: (handshake) => handshake.reject(undefined, reason, data),
    });

    const error = await failure(connect(addressOf(listener)));

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_REJECTED', reason, data });
  });

  it('is refused where it does not fit beside the reason', async () => {
    const listener = await listening({
      authenticate: (handshake) =>
        handshake.reject(undefined, 'r'.repeat(1024), Buffer.alloc(LARGEST)),
    });
    const reported = next(listener, 'handlerError');

    const error = await failure(connect(addressOf(listener)));

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_REJECTED', status: Code.INTERNAL });
    expect(await reported).toEqual([
      expect.objectContaining({
        code: 'IC_ERR_OPTION',
        message: expect.stringMatching(/15360 bytes.*14336/),
      }),
    ]);
  });
});
