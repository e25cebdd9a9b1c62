import type { OutgoingMessage } from '../../../src/protocol/index.js';
import { describe, expect, it } from '@jest/globals';
import { Code, creditPayload, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

/** How many of the messages are with the other side. */
function sent(messages: readonly Pick<OutgoingMessage, 'state' | 'hasCredit'>[]): number {
  return messages.filter(({ state, hasCredit }) => hasCredit || state !== 'QUEUED').length;
}

describe('The credit of messages', () => {
  it('lets the last one through, and holds back the next [IC-8.1]', () => {
    const pair = SimPair.open({ limits: { messages: 4 } });
    const { dialer, listener } = pair.join();

    const sends = Array.from({ length: 6 }, (_, at) => dialer.send(`${at}`));
    pair.run();

    expect(sent(sends)).toBe(4);
    expect(listener.messages).toHaveLength(4);
  });

  it('comes back as settlements are written, and what waits goes on in order', () => {
    const pair = SimPair.open({ limits: { messages: 2 } });
    const { dialer, listener } = pair.join();
    const sends = Array.from({ length: 20 }, (_, at) => dialer.send(`${at}`));
    listener.onHandle = (message) => void message.respond(message.text);

    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(sends.map((_, at) => `accepted "${at}"`));
    expect(listener.messages.map(({ text }) => Number(text))).toEqual(sends.map((_, at) => at));
  });

  it('does not come back while the settlement waits to be written [IC-8.8]', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer, listener } = pair.join();
    const sends = [dialer.send('1'), dialer.send('2')];
    pair.run();
    pair.listener.room = 0;

    listener.last.accept();
    pair.run();
    expect(sent(sends)).toBe(1);

    pair.listener.drain();
    pair.run();
    expect(sent(sends)).toBe(2);
  });

  it('does not come back while the handler of a settled message still runs [IC-8.8]', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer, listener } = pair.join();
    const sends = [dialer.send('1', { timeout: 100 }), dialer.send('2')];
    pair.run();

    pair.advance(100);
    expect(sends[0]?.outcome).toMatch(/timeout|DEADLINE/);
    expect(sent(sends)).toBe(1);

    listener.last.accept();
    pair.run();
    expect(sent(sends)).toBe(2);
  });

  it('is not used up by messages that stay: the others still come and go [IC-8.13]', () => {
    const pair = SimPair.open({ limits: { messages: 16 } });
    const { dialer, listener } = pair.join();
    for (let count = 0; count < 15; count++) dialer.send('stays');
    pair.run();
    listener.onHandle = (message) => void message.accept();

    for (let count = 0; count < 50; count++) {
      const send = dialer.send('goes');
      pair.run();
      expect(send.outcome).toBe('accepted');
    }
  });

  it('comes back where the last that were allowed stay, and earlier ones went', () => {
    const pair = SimPair.open({ limits: { messages: 16 } });
    const { dialer, listener } = pair.join();
    listener.onHandle = (message) => void (message.text === 'goes' && message.accept());
    for (let count = 0; count < 5; count++) dialer.send('goes');
    pair.run();

    const stay = Array.from({ length: 16 }, () => dialer.send('stays'));
    pair.run();

    expect(sent(stay)).toBe(16);
  });

  it('of one session does not bound another', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const sessions = ['a', 'b'].map((name) => pair.dialer.session(name));

    const sends = sessions.map((session) => session.send('x'));
    pair.run();

    expect(sent(sends)).toBe(2);
  });

  it('ends the connection of who goes beyond it (M53) [IC-8.1]', () => {
    const peer = SimPeer.greeted('listener', { limits: { messages: 2 } });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    for (const id of [1, 2]) peer.send({ type: FrameType.SEND, session: 1, id });
    expect(peer.side.last.messages).toHaveLength(2);

    peer.send({ type: FrameType.SEND, session: 1, id: 3 });

    peer.expectClose(Code.FLOW);
  });
});

describe('The byte credit of a session', () => {
  const limits = { maxFrame: 16_384, sessionBytes: 64 * 1024 };

  it('is held by small messages until they are settled [IC-8.10]', () => {
    const pair = SimPair.open({ limits });
    const { dialer, listener } = pair.join();
    const sends = Array.from({ length: 12 }, () => dialer.send(Buffer.alloc(8000)));
    pair.run();
    expect(sent(sends)).toBe(6);

    for (const message of listener.messages.slice()) message.accept();
    pair.run();

    expect(sent(sends)).toBe(12);
  });

  it('of one session does not bound another', () => {
    const pair = SimPair.open({ limits });
    const full = pair.dialer.session('a');
    for (let count = 0; count < 20; count++) full.send(Buffer.alloc(8000));
    const free = pair.dialer.session('b').send('x');

    pair.run();

    expect(sent([free])).toBe(1);
  });

  it('comes back as the fragments of a large message arrive', () => {
    const pair = SimPair.open({ limits });
    const { dialer, listener } = pair.join();

    dialer.send(Buffer.alloc(1_000_000));
    pair.run();

    expect(listener.last.data).toHaveLength(1_000_000);
  });

  it('comes back for answers as they arrive [IC-8.11]', () => {
    const pair = SimPair.open({ limits });
    const { dialer, listener } = pair.join();
    listener.onHandle = (message) => void message.respond(Buffer.alloc(8000));

    const sends = Array.from({ length: 50 }, () => dialer.send('x'));
    pair.run();

    expect(sends.every(({ outcome }) => outcome === 'accepted 8000 B')).toBe(true);
  });

  it('leaves enough for an answer when requests have used up the rest [IC-8.5]', () => {
    const pair = SimPair.open({ limits });
    const { dialer, listener } = pair.join();
    for (const session of [dialer, listener]) {
      for (let count = 0; count < 20; count++) session.send(Buffer.alloc(8000));
    }
    pair.run();

    // Both windows are full of requests: only an answer can free anything.
    listener.messages[0]?.respond(Buffer.alloc(8192), [['k', 'v'.repeat(7000)]]);
    dialer.messages[0]?.respond(Buffer.alloc(100_000));
    pair.run();

    expect(pair.dialer.log.linesButCredit().at(-1)).toMatch(/^FRAG s=1 id=1 REPLY|SEND/);
    for (const session of [dialer, listener]) {
      session.onHandle = (message) => void message.respond(Buffer.alloc(8000));
      for (const message of session.messages) message.respond(Buffer.alloc(8000));
    }
    pair.run();
    expect([dialer.messages.length, listener.messages.length]).toEqual([20, 20]);
  });

  it.each([
    ['to the last octet', 0, undefined],
    ['but not one octet beyond it (M54)', 1, 'FLOW'],
  ])('may be used %s', (_, beyond, closeCode) => {
    const peer = SimPeer.greeted('listener', {
      limits: { sessionBytes: 65_536, connectionBytes: 2 ** 20 },
    });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = { type: FrameType.SEND, session: 1 };

    peer.send({ ...send, id: 1, payload: Buffer.alloc(65_000) });
    peer.send({ ...send, id: 2, payload: Buffer.alloc(536 + beyond) });

    expect(peer.closeCode).toBe(closeCode);
  });
});

describe('The byte credit of answers', () => {
  it.each(['session', 'connection'])(
    'of the %s is used to the last octet, and no further [IC-8.1] [IC-8.2]',
    (which) => {
      const peer = SimPeer.greeted(
        'listener',
        {},
        which === 'session'
          ? { sessionBytes: 70_000 }
          : { connectionBytes: 70_000, maxMessage: 7000 },
      );
      peer.side.onMessage = (message) => void message.respond(Buffer.alloc(7000));
      peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
      for (let id = 1; id <= 10; id++) peer.send({ type: FrameType.SEND, session: 1, id });
      expect(peer.lines()).toContain('ACCEPT s=1 id=10 REPLY 7000 B');

      peer.side.onMessage = (message) => void message.respond('xy');
      peer.send({ type: FrameType.SEND, session: 1, id: 11 });
      for (const limit of [70_001, 70_002]) {
        expect(peer.lines()).toEqual([]);
        const payload = creditPayload(2000, which === 'session' ? limit : 2 ** 23);
        peer.send({ type: FrameType.CREDIT, session: 1, payload });
        if (which === 'connection') {
          peer.send({ type: FrameType.CREDIT, payload: creditPayload(0, limit) });
        }
      }

      expect(peer.lines()).toEqual(['ACCEPT s=1 id=11 REPLY 2 B']);
    },
  );
});

describe('The byte credit of a connection', () => {
  const limits = { maxFrame: 16_384, maxMessage: 100_000, connectionBytes: 150_000 };

  it('is held by messages until they are settled, over all sessions [IC-8.9]', () => {
    const pair = SimPair.open({ limits });
    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));

    for (const session of sessions) session.send(Buffer.alloc(100_000));
    pair.run();
    expect(pair.listener.incoming.flatMap(({ messages }) => messages)).toHaveLength(1);
    expect(pair.listener.connection.receiveWindow.held).toBeGreaterThan(100_000);

    pair.listener.onMessage = (message) => void message.accept();
    pair.listener.incoming[0]?.last.accept();
    pair.run();

    expect(pair.listener.incoming.flatMap(({ messages }) => messages)).toHaveLength(3);
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
  });

  it('lets who waited for it go on in every session', () => {
    const pair = SimPair.open({ limits });
    const sessions = Array.from({ length: 30 }, (_, at) => pair.dialer.session(`${at}`));
    const sends = sessions.map((session) => session.send(Buffer.alloc(8000)));
    pair.run();
    expect(sent(sends)).toBeLessThan(20);
    pair.listener.onMessage = (message) => void message.accept();

    for (const { messages } of pair.listener.incoming) messages[0]?.accept();
    pair.run();

    expect(sends.every(({ outcome }) => outcome === 'accepted')).toBe(true);
  });

  it('holds a message of the largest size, whatever stands beside it', () => {
    // The message, its fields, and what requests leave to settlements.
    const tight = { ...limits, connectionBytes: 100_000 + 8192 + 11 + 16_384 };
    const pair = SimPair.open({ limits: tight });
    const { dialer, listener } = pair.join();
    const metadata = [['k', 'v'.repeat(8000)]] as const;

    const send = dialer.send(Buffer.alloc(100_000), { metadata, timeout: 1000 });
    pair.run();
    listener.last.accept();
    pair.run();

    expect(send.outcome).toBe('accepted');
  });

  it('is never so full of both sides’ requests that no answer gets out [IC-8.5]', () => {
    const pair = SimPair.open({ limits });
    pair.dialer.onMessage = () => undefined;
    const both = [pair.dialer, pair.listener].flatMap((side) =>
      ['a', 'b', 'c', 'd'].map((name) => side.session(name)),
    );
    const sends = both.flatMap((session) => [
      session.send(Buffer.alloc(100_000)),
      session.send(Buffer.alloc(8192)),
    ]);
    pair.run();

    for (const side of [pair.dialer, pair.listener]) {
      side.onMessage = (message) => void message.respond(Buffer.alloc(100_000));
      for (const { messages } of side.incoming) {
        for (const message of messages) message.respond(Buffer.alloc(100_000));
      }
    }
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(sends.map(() => 'accepted 100000 B'));
  });

  it.each([
    ['to the last octet', 0, undefined],
    ['but not one octet beyond it (M54)', 1, 'FLOW'],
  ])('may be used %s', (_, beyond, closeCode) => {
    const peer = SimPeer.greeted('listener', { limits: { connectionBytes: 100_000 } });
    for (const session of [1, 3]) {
      peer.send({ type: FrameType.OPEN, session, meta: { name: 'a' } });
    }

    peer.send({ type: FrameType.SEND, session: 1, id: 1, payload: Buffer.alloc(50_000) });
    peer.send({ type: FrameType.SEND, session: 3, id: 1, payload: Buffer.alloc(50_000 + beyond) });

    expect(peer.closeCode).toBe(closeCode);
  });
});

describe('A CREDIT', () => {
  function sending(): SimPeer {
    const peer = SimPeer.greeted('listener', {}, { messages: 1, connectionBytes: 2 ** 20 });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    for (let count = 0; count < 3; count++) peer.side.last.send('x');
    peer.flush();
    expect(peer.lines()).toEqual(['OPENED s=1', 'SEND s=1 id=1 1 B']);
    return peer;
  }

  const credit = (count: number, bytes = 2 ** 22) => ({
    type: FrameType.CREDIT,
    session: 1,
    payload: creditPayload(count, bytes),
  });

  it('raises the limit', () => {
    const peer = sending();

    peer.send(credit(2));

    expect(peer.lines()).toEqual(['SEND s=1 id=2 1 B']);
  });

  it('that is lower or the same changes nothing (M78) [IC-8.3]', () => {
    const peer = sending();
    peer.send(credit(2));
    peer.lines();

    peer.send(credit(2), credit(1), credit(1, 100), credit(2 ** 31 - 1));

    peer.expectSilence();
  });

  it.each([2 ** 31, 2 ** 31 + 9, 2 ** 32 - 1])(
    'whose messages limit %i is no id ends the connection (M126) [IC-4.9]',
    (count) => {
      const peer = sending();

      peer.send(credit(count));

      peer.expectClose(Code.PROTOCOL);
    },
  );

  it('that jumps too far ahead ends the connection (M79) [IC-8.4]', () => {
    const bytes = sending();
    bytes.send(credit(1, 2 ** 30 + 100));
    const messages = sending();
    messages.send(credit(2 ** 29));
    expect(messages.side.status).toBe('open');
    messages.send(credit(2 ** 30 + 100));

    bytes.expectClose(Code.FLOW);
    messages.expectClose(Code.FLOW);
  });

  it('of the connection that jumps too far ends it as well [IC-8.4]', () => {
    const peer = sending();

    peer.send({ type: FrameType.CREDIT, payload: creditPayload(1024, 2 ** 30 + 2 ** 20) });

    peer.expectClose(Code.FLOW);
  });

  it('for a session that was never opened ends the connection, for a closed one nothing (M81)', () => {
    const never = sending();
    const over = sending();
    over.send({ type: FrameType.END, session: 1, meta: { code: Code.SESSION_FAILED } });
    over.lines();

    never.send({ ...credit(5), session: 3 });
    over.send(credit(5));

    never.expectClose(Code.PROTOCOL);
    over.expectSilence();
  });

  it('acknowledges no more frames than were written (M80) [IC-6.13]', () => {
    const right = sending();
    const wrong = sending();
    const acknowledge = (id: number) => ({
      type: FrameType.CREDIT,
      id,
      payload: creditPayload(0, 0),
    });

    right.send(acknowledge(1), acknowledge(2), acknowledge(2));
    wrong.send(acknowledge(3));

    right.expectSilence();
    wrong.expectClose(Code.PROTOCOL);
  });

  it('never takes an acknowledgement back [IC-6.13]', () => {
    const peer = sending();
    peer.send({ type: FrameType.CREDIT, id: 2, payload: creditPayload(0, 0) });

    peer.send({ type: FrameType.CREDIT, id: 1, payload: creditPayload(0, 0) });

    peer.expectClose(Code.PROTOCOL);
  });
});
