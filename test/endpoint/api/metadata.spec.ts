import { describe, expect, it } from '@jest/globals';
import type { Message, Metadata } from 'nestjs-interconnect/core';
import { connected, inSession } from '../../support/peers/connected.js';
import { failure, next, thrown } from '../../support/events.js';

/** As many entries as there may be, of as many bytes as there may be. */
function largest(): Metadata {
  return Object.fromEntries(
    Array.from({ length: 64 }, (_, index) => [`key-${String(index).padStart(2, '0')}`, value]),
  );
}

const value = 'v'.repeat(Math.floor(7000 / 64) - 6 - 4);

describe('metadata', () => {
  it('travels with a message, its response and its rejection', async () => {
    const { session, accepted } = await inSession();
    const seen: Metadata[] = [];
    accepted.on('message', (message) => {
      seen.push(message.metadata);
      const metadata = { answer: `${message.id}`, empty: '' };
      if (message.id === 1) message.respond(Buffer.from('x'), { metadata });
      else message.reject(undefined, 'no', undefined, { metadata });
    });
    const metadata = { traceparent: '00-0af7-00f0-01', Größe: '7 µm', none: '' };

    const responded = await session.send(Buffer.from('x'), { metadata });
    const rejected = await session.send(Buffer.from('x'), { metadata });

    expect(seen.map((each) => ({ ...each }))).toEqual([metadata, metadata]);
    expect({ ...responded.metadata }).toEqual({ answer: '1', empty: '' });
    expect({ ...rejected.metadata }).toEqual({ answer: '2', empty: '' });
  });

  it('travels with large messages and their large responses', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => {
      message.respond(Buffer.alloc(200_000), { metadata: message.metadata });
    });

    const outcome = await session.send(Buffer.alloc(200_000), { metadata: largest() });

    expect({ ...outcome.metadata }).toEqual(largest());
  });

  it('is empty, and the same, where there is none', async () => {
    const { session, accepted } = await inSession();
    const seen: Metadata[] = [];
    accepted.on('message', (message) => {
      seen.push(message.metadata, message.metadata);
      message.accept();
    });

    const outcome = await session.send(Buffer.from('x'));

    expect(Object.keys(outcome.metadata)).toEqual([]);
    expect(seen[0]).toBe(seen[1]);
    expect(Object.isFrozen(outcome.metadata)).toBe(true);
  });

  it('has names that mean nothing but themselves', async () => {
    const { session, accepted } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.on('message', (message) => message.accept());
    const metadata = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Metadata;

    await session.send(Buffer.from('x'), { metadata });
    const [message] = await arrived;

    expect(Object.getPrototypeOf(message.metadata)).toBeNull();
    expect(Object.entries(message.metadata)).toEqual(Object.entries(metadata));
  });

  it.each([
    [
      '65 entries',
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''])),
      /65 metadata entries exceed the 64/,
    ],
    ['a name of 256 bytes', { ['n'.repeat(256)]: '' }, /1 to 255 bytes/],
    ['a name of 128 letters and 256 bytes', { ['é'.repeat(128)]: '' }, /1 to 255 bytes/],
    ['a name of none', { '': 'x' }, /1 to 255 bytes/],
    ['more bytes than fit', { key: 'v'.repeat(7000) }, /Metadata of 7007 bytes exceeds 7000/],
    [
      'a value that is no string',
      { key: 7 as unknown as string },
      /"key" must be a string, and is a number/,
    ],
    [
      'a value that is not there',
      { key: undefined as unknown as string },
      /"key" must be a string/,
    ],
    ['a Map', new Map([['key', 'value']]) as never, /metadata must be an object/],
    ['a string', 'key' as never, /metadata must be an object/],
    ['U+0000 in a name', { 'a\0b': 'x' }, /U\+0000/],
    ['U+0000 in a value', { a: 'x\0' }, /U\+0000/],
    ['half of a surrogate pair in a name', { '\ud800': 'x' }, /half of a surrogate pair/],
    ['half of a surrogate pair in a value', { a: 'x\udc00' }, /half of a surrogate pair/],
  ])('is refused with %s', async (_what, metadata, words) => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => {
      const error = thrown(() => message.respond(Buffer.from('x'), { metadata }));
      const other = thrown(() => message.reject(undefined, '', undefined, { metadata }));
      expect(other.message).toBe(error.message);
      message.respond(Buffer.from(error.message));
    });

    const sendError = await failure(session.send(Buffer.from('x'), { metadata }));
    const sessionError = await failure(dialer.createSession('y', { metadata }));
    const outcome = await session.send(Buffer.from('x'));

    for (const error of [sendError, sessionError]) {
      expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
      expect(error.message).toMatch(words);
    }
    expect(outcome.data.toString()).toMatch(words);
  });

  it('of the largest size fits beside all else that a frame may bear', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => {
      session.on('message', (message: Message) => {
        const metadata = message.metadata;
        message.reject(0xffff, 'r'.repeat(1024), Buffer.alloc(100_000), { metadata });
      });
      session.accept();
    });
    const metadata = largest();

    const session = await dialer.createSession('n'.repeat(1024), { metadata });
    const outcome = await session.send(Buffer.alloc(100_000), { metadata });

    expect(outcome).toMatchObject({ accepted: false, reason: 'r'.repeat(1024) });
    expect({ ...outcome.metadata }).toEqual(metadata);
  });
});
