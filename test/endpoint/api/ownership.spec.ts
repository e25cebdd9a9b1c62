import { describe, expect, it } from '@jest/globals';
import { inSession } from '../../support/peers/connected.js';
import { failure, until } from '../../support/events.js';

describe('a received payload', () => {
  it('that is small does not keep a large chunk in memory', async () => {
    const { session, accepted } = await inSession();
    const kept: Buffer[] = [];
    accepted.on('message', (message) => {
      kept.push(message.data);
      message.respond(Buffer.alloc(100));
    });

    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, index) => session.send(Buffer.alloc(1 + (index % 512)))),
    );

    // Node's pool is 8 KiB; a chunk that the socket read has up to 64 KiB.
    for (const data of kept) expect(data.buffer.byteLength).toBeLessThanOrEqual(8192);
    for (const { data } of outcomes) expect(data.buffer.byteLength).toBeLessThanOrEqual(8192);
  });

  it('that is large keeps at most four times its size in memory', async () => {
    const { session, accepted } = await inSession();
    const kept: Buffer[] = [];
    accepted.on('message', (message) => {
      kept.push(message.data);
      message.accept();
    });
    const sizes = [16_384, 20_000, 65_000, 65_536, 100_000, 1_000_000, 3_000_000];

    await Promise.all(sizes.map((size) => session.send(Buffer.alloc(size))));

    expect(kept.map(({ length }) => length)).toEqual(sizes);
    expect(kept.filter(({ buffer, length }) => buffer.byteLength > 4 * length)).toEqual([]);
  });

  it('belongs to who received it: what he does to it changes no other', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => {
      const answer = Buffer.from(message.data);
      message.data.fill(0xff);
      message.respond(answer);
    });
    const payloads = Array.from({ length: 500 }, (_, index) => Buffer.alloc(3000, index % 256));

    const outcomes = await Promise.all(payloads.map((payload) => session.send(payload)));
    for (const [index, { data }] of outcomes.entries()) {
      expect(data.equals(payloads[index] ?? Buffer.alloc(0))).toBe(true);
      data.fill(0xee);
    }

    const again = await session.send(Buffer.alloc(3000, 7));
    expect(again.data.equals(Buffer.alloc(3000, 7))).toBe(true);
  });
});

describe('a payload that is sent', () => {
  it.each([100, 8192, 8193, 100_000])('is not changed: %d bytes', async (size) => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.respond(message.data));
    const payload = Buffer.alloc(size, 'p');

    await session.send(payload);

    expect(payload.equals(Buffer.alloc(size, 'p'))).toBe(true);
  });

  it.each([100, 8192, 8193, 300_000])(
    'may be used again after its outcome: %d bytes',
    async (size) => {
      const { session, accepted } = await inSession();
      const seen: string[] = [];
      accepted.on('message', (message) => {
        seen.push(message.data.toString('latin1', size - 1));
        message.accept();
      });
      const payload = Buffer.alloc(size);

      for (const letter of ['a', 'b', 'c', 'd', 'e']) {
        payload.fill(letter);
        await session.send(payload);
      }

      expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
    },
  );

  it('may be a part of a larger one', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.respond(message.data));
    const whole = new Uint8Array(100_000).map((_, index) => index % 256);

    for (const part of [whole.subarray(10, 20), whole.subarray(300, 90_000)]) {
      expect((await session.send(part)).data.equals(part)).toBe(true);
      const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
      expect((await session.send(view)).data.equals(part)).toBe(true);
    }
    expect((await session.send(whole.buffer)).data.equals(whole)).toBe(true);
  });

  it('is let go of when the connection ends', async () => {
    const { session, accepted, dialer } = await inSession({ maxUnsettled: 1 });
    accepted.on('message', () => undefined);
    const pending = [0, 1, 2].map(() => failure(session.send(Buffer.alloc(1_000_000))));

    await dialer.close();

    expect((await Promise.all(pending)).map(({ code }) => code)).toEqual([
      'IC_ERR_CLOSED',
      'IC_ERR_CLOSED',
      'IC_ERR_CLOSED',
    ]);
  });
});

describe('a buffer of a one-way message', () => {
  // Small ones are copied, and resolve when they are written; larger ones when the other side has them.
  it.each([
    [60_000, 200],
    [8_000_000, 3],
  ])(
    'of %i bytes may be used again when the promise resolves, also while the other side stalls',
    async (size, count) => {
      const { session, accepted, acceptor, dialer } = await inSession({
        sessionWindow: 32 * 1024 * 1024,
      });
      const received: Buffer[] = [];
      accepted.on('message', (message) => {
        received.push(Buffer.from(message.data));
        message.accept();
      });
      acceptor.socket.pause();

      const own = Buffer.alloc(size);
      const sent = (async () => {
        for (let index = 0; index < count; index++) {
          own.fill(index);
          await session.send(own, { oneWay: true, timeout: 0 });
        }
        own.fill(0xff);
      })();
      await until(() => dialer.socket.writableLength > 0);
      acceptor.socket.resume();
      await sent;
      await until(() => received.length === count);

      const foreign = received.filter((data, index) => data.some((byte) => byte !== index));
      expect(foreign).toHaveLength(0);
    },
  );
});
