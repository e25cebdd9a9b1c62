import { describe, expect, it } from '@jest/globals';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  Capability,
  Code,
  codeName,
  creditPayload,
  Flag,
  FrameType,
  type Meta,
} from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const { OPEN, SEND, FRAG, ACCEPT, CREDIT, PING, PONG, GOAWAY, CLOSE } = FrameType;
const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };

/** A listener that can be resumed, with a session that the peer opened. */
function listener(): SimPeer {
  const peer = new SimPeer('listener', { token: TOKEN });
  peer.greet({ ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME });
  peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
  peer.lines();
  return peer;
}

describe('A side that drains', () => {
  it('says so first, and refuses what comes after: none of it runs [IC-12.1]', () => {
    const peer = listener();

    peer.side.connection.drain();
    peer.flush();
    expect(peer.lines()).toEqual(['GOAWAY code=DRAINING', 'PING token=1']);
    peer.send({ type: OPEN, session: 3, meta: { name: 'b' } });
    peer.send({ type: SEND, session: 1, id: 1 });

    expect(peer.lines()).toEqual([
      expect.stringContaining('END s=3 code=DRAINING'),
      expect.stringContaining('REJECT s=1 id=1 REPLY code=MESSAGE_DRAINING'),
    ]);
    expect(peer.side.incoming).toHaveLength(1);
    expect(peer.side.last.messages).toEqual([]);
  });

  it('takes a one-way message that comes after, since it could not be told [IC-12.1]', () => {
    const peer = listener();
    peer.side.connection.drain();

    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.ONEWAY });

    expect(peer.side.last.messages).toHaveLength(1);
  });

  it('passes over the fragments of what it refuses [IC-12.1]', () => {
    const peer = listener();
    peer.side.connection.drain();

    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.MORE, payload: Buffer.alloc(5000) });
    peer.lines();
    peer.send({ type: FRAG, session: 1, id: 1, payload: Buffer.alloc(10) });

    peer.expectSilence();
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });

  it('serves to its end what had begun: sessions, messages, what it sends itself [IC-12.2]', () => {
    const peer = listener();
    peer.side.onSession = () => undefined;
    peer.send({ type: OPEN, session: 3, meta: { name: 'b' } });
    peer.send({ type: SEND, session: 3, id: 1, payload: Buffer.from('waits') });
    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.MORE, payload: Buffer.alloc(5000) });
    const [one, other] = peer.side.incoming;
    peer.side.connection.drain();
    peer.flush();
    peer.lines();

    peer.send({ type: FRAG, session: 1, id: 1, payload: Buffer.alloc(1) });
    other?.accept();
    const own = one?.send('own');
    peer.flush();

    expect(one?.last.data).toHaveLength(5001);
    expect(other?.last.text).toBe('waits');
    expect(peer.lines()).toEqual(['OPENED s=3', 'SEND s=1 id=1 3 B']);
    peer.send({ type: ACCEPT, session: 1, id: 1, flags: Flag.REPLY });
    expect(own?.outcome).toBe('accepted');
  });

  it('is through when all is settled, decided and acknowledged, and not before [IC-12.6]', () => {
    const peer = listener();
    peer.side.onSession = () => undefined;
    peer.send({ type: OPEN, session: 3, meta: { name: 'b' } }, { type: SEND, session: 1, id: 1 });
    const own = peer.side.incoming[0]?.send('own');
    peer.flush();
    const { side } = peer;
    const [first] = side.incoming;
    const steps: boolean[] = [];
    const step = (...frames: Parameters<SimPeer['send']>): void => {
      peer.flush();
      peer.send(...frames);
      steps.push(side.drained);
    };
    side.connection.drain();

    step();
    first?.last.accept();
    step();
    step({ type: ACCEPT, session: 1, id: own?.id ?? 0, flags: Flag.REPLY });
    side.last.reject();
    step();
    step({ type: PONG, id: 1 });
    // OPENED, SEND, ACCEPT, END.
    step({ type: CREDIT, id: 4, payload: creditPayload(0, 0) });

    expect(steps).toEqual([false, false, false, false, false, true]);
  });

  it('acknowledges what it has read before it is through: CLOSE would not [IC-12.6]', () => {
    const pair = SimPair.open({ listener: { token: TOKEN } });
    const session = pair.join();
    session.listener.onHandle = (message) => void message.accept();
    const send = session.dialer.send('no copy', { oneWay: true, isCopied: false });
    pair.run();
    expect(send.outcome).toBe('pending');

    pair.listener.connection.drain();
    pair.run();

    expect(pair.listener.drained).toBe(true);
    expect(send.outcome).toBe('sent');
  });

  it('is not through before what crosses its GOAWAY is here [IC-12.4]', () => {
    const peer = listener();
    peer.send({ type: CREDIT, id: 1, payload: creditPayload(0, 0) });
    const { side } = peer;

    side.connection.drain();
    peer.flush();
    expect(side.drained).toBe(false);
    // Written before GOAWAY was read.
    peer.send({ type: SEND, session: 1, id: 1 }, { type: PONG, id: 1 });
    expect(peer.lines().at(-1)).toContain('code=MESSAGE_DRAINING');
    expect(side.drained).toBe(false);
    peer.send({ type: CREDIT, id: 2, payload: creditPayload(0, 0) });

    expect(side.drained).toBe(true);
  });

  it('asks again on another socket whether it was read [IC-12.4]', () => {
    const peer = listener();
    peer.send({ type: CREDIT, id: 1, payload: creditPayload(0, 0) });
    peer.side.connection.drain();
    peer.flush();
    peer.lines();

    peer.side.lose();
    peer.side.renew();
    const resume = { token: TOKEN.token, received: 1 };
    peer.greet({ ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME, resume });
    expect(peer.lines()).toContain('PING token=1');
    expect(peer.side.drained).toBe(false);
    peer.send({ type: PONG, id: 1 });

    expect(peer.side.drained).toBe(true);
  });

  it('says so before the frames that wait, so that its refusals come behind GOAWAY [IC-12.1]', () => {
    const pair = SimPair.open();
    const { dialer, listener: acceptor } = pair.join();
    dialer.send('1');
    pair.run();
    dialer.send('2');
    pair.there.flush();
    pair.listener.log.lines();

    acceptor.last.accept();
    pair.listener.connection.drain();
    pair.there.deliver();
    pair.run();

    const [first, ...others] = pair.listener.log.lines();
    expect(first).toBe('GOAWAY code=DRAINING');
    expect(others[0]).toBe('ACCEPT s=1 id=1 REPLY');
    expect(others[1]).toContain('REJECT s=1 id=2 REPLY code=MESSAGE_DRAINING');
  });

  it('says so although nothing else may be written, for nothing is acknowledged', () => {
    const peer = listener();
    const [session] = peer.side.incoming;
    for (let count = 0; count < 400; count++) session?.send(Buffer.alloc(50_000));
    peer.flush();
    peer.lines();

    peer.side.connection.drain();
    peer.flush();

    expect(peer.lines()).toEqual(['GOAWAY code=DRAINING', 'PING token=1']);
  });

  it('goes on when it has another socket, and says so there again [IC-12.7]', () => {
    const peer = listener();
    peer.send({ type: SEND, session: 1, id: 1 });
    peer.side.connection.drain();
    peer.flush();
    peer.lines();

    peer.side.lose();
    peer.side.renew();
    const resume = { token: TOKEN.token, received: 1 };
    peer.greet({ ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME, resume });

    const [welcome, goaway, ...others] = peer.lines();
    expect([welcome, goaway]).toEqual([
      expect.stringContaining('resumed received=2'),
      'GOAWAY code=DRAINING',
    ]);
    expect(others.filter((line) => line.startsWith('GOAWAY'))).toEqual([]);
    peer.send({ type: SEND, session: 1, id: 2 });
    expect(peer.lines()).toEqual([expect.stringContaining('code=MESSAGE_DRAINING')]);
  });
});

describe('A side whose other side drains', () => {
  const goaway = { type: GOAWAY, meta: { code: Code.DRAINING } };

  it('does not pay for the GOAWAY of each further socket, and pays for a second one on it [IC-12.7]', () => {
    const peer = listener();
    peer.send(goaway);
    for (let socket = 0; socket < 1100; socket++) {
      peer.side.lose();
      peer.side.renew();
      const resume = { token: TOKEN.token, received: 1 };
      peer.greet({ ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME, resume });
      peer.send(goaway);
    }
    expect(peer.side.status).toBe('open');

    peer.burst(Array.from({ length: 1000 }, () => goaway));
    expect(peer.side.status).toBe('open');
    peer.send(goaway);

    expect(peer.closeCode).toBe('CALM');
  });

  it('answers GOAWAY by no CREDIT that would say nothing new (M78) [IC-8.13]', () => {
    const peer = SimPeer.greeted('listener');

    peer.send(goaway);
    peer.expectSilence();
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });

    // What comes afterwards is acknowledged at once: the drainer waits for that.
    expect(peer.lines()).toEqual(['OPENED s=1', 'CREDIT received=1 opens=1024 bytes=67108864']);
  });

  it('begins nothing any more, and finishes what it began [IC-12.3]', () => {
    const pair = SimPair.open({ limits: { messages: 2, sessions: 1 } });
    const { dialer, listener: acceptor } = pair.join();
    const [begun, large, queued] = ['1', Buffer.alloc(500_000), '3'].map((data) =>
      dialer.send(data),
    );
    const waiting = pair.dialer.session('beyond the limit');
    pair.dialer.room = 100_000;
    pair.flush();
    pair.there.deliver();
    pair.listener.connection.drain();
    pair.dialer.log.lines();

    pair.run();
    const refused = [
      queued,
      dialer.send('4'),
      waiting.send('5'),
      pair.dialer.session('b').send('6'),
    ];
    pair.run();

    expect(pair.dialer.draining).toBe(true);
    expect(refused.map((send) => send?.outcome)).toEqual([
      'failed draining no',
      'failed draining no',
      expect.stringMatching(/^failed .* no$/u),
      expect.stringMatching(/^failed .* no$/u),
    ]);
    const lines = pair.dialer.log.linesButCredit().filter((line) => !line.startsWith('FRAG'));
    expect(lines).toEqual(['PONG token=1']);
    acceptor.onHandle = (message) => void message.accept();
    for (const message of acceptor.messages) message.accept();
    pair.run();
    expect([begun?.outcome, large?.outcome]).toEqual(['accepted', 'accepted']);
    expect(acceptor.send('of the drainer').outcome).toBe('pending');
    pair.run();
    expect(dialer.last.text).toBe('of the drainer');
  });

  it('writes nothing of what had not begun, and answers the PING behind it [IC-12.3] [IC-12.5]', () => {
    const peer = listener();
    const [session] = peer.side.incoming;
    const sends = Array.from({ length: 20 }, () => session?.send('x'.repeat(500)));
    const opened = peer.side.session('unwritten');

    peer.burst([{ type: GOAWAY }, { type: PING, id: 5 }]);
    const lines = peer.lines();

    expect(sends.map((send) => send?.outcome)).toEqual(sends.map(() => 'failed draining no'));
    expect(opened.status).toBe('closed draining');
    expect(lines.filter((line) => /^(SEND|OPEN)/u.test(line))).toEqual([]);
    expect(lines.filter((line) => !line.startsWith('CREDIT')).at(-1)).toBe('PONG token=5');
  });

  it.each<[string, Meta]>([
    ['none', {}],
    ['OK', { code: Code.OK }],
    ['DRAINING', { code: Code.DRAINING, text: 'soon', retryAfter: 500 }],
    ['a code of a fault', { code: Code.INTERNAL }],
    ['a code of an application', { code: 0x8001, retryAfter: 0xffffffff }],
  ])('takes GOAWAY alike whatever its code: %s [IC-6.16]', (_what, meta) => {
    const peer = listener();

    peer.send({ type: GOAWAY, meta });

    expect(peer.side.draining).toBe(true);
    expect(peer.side.last.send('x').outcome).toBe('failed draining no');
  });
});

describe('CLOSE', () => {
  const ends = [0x0000, 0x0101, 0x0109, 0x0150, 0x01ff, 0x0201, 0x0202, 0x8000, 0xbfff, 0xffff];
  const leaves = [0x0203, 0x0204, 0x0207, 0x0209, 0x020a, 0x020b, 0x020d, 0x02ff, 0x0301, 0x7fff];

  it.each([
    ...ends.map((code) => [codeName(code), code, 'ends'] as const),
    ...leaves.map((code) => [codeName(code), code, 'leaves'] as const),
  ])('of %s (%d) %s the connection, known or not [IC-12.15] [IC-13.1]', (_name, code, what) => {
    const peer = listener();

    peer.send({ type: CLOSE, meta: { code } });

    const { closed, lost } = peer.side;
    expect([closed !== undefined, lost !== undefined]).toEqual(
      what === 'ends' ? [true, false] : [false, true],
    );
  });

  it('that is written for a socket alone leaves the connection as well [IC-12.15]', () => {
    const idle = SimPeer.greeted('listener');
    const replaced = listener();
    const wrong = listener();

    idle.advance(DEFAULT_LIMITS.idle);
    replaced.side.machine.supersede(replaced.clock.now());
    replaced.flush();
    wrong.send({ type: SEND, session: 9, id: 1 });

    expect([idle, replaced, wrong].map(({ closeCode }) => closeCode)).toEqual([
      'IDLE',
      'SUPERSEDED',
      'PROTOCOL',
    ]);
    expect([idle, replaced, wrong].map(({ side }) => side.lost !== undefined)).toEqual([
      true,
      true,
      false,
    ]);
  });
});
