/** A connection that gets another socket, at a machine: what is written again, what counts, what stays. */
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  Capability,
  Code,
  creditPayload,
  encodeFrame,
  Flag,
  type Frame,
  FrameType,
  isSequenced,
  type Meta,
} from '../../../src/wire/index.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const { HELLO, OPEN, OPENED, SEND, ITEM, ACCEPT, PONG, CREDIT } = FrameType;
const { REPLY, STREAM } = Flag;
const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };
const LIMITS: Meta = { ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME };
const OTHER_LIMITS: Meta = {
  ...LIMITS,
  ...limitsToMeta({ ...DEFAULT_LIMITS, maxFrame: 20_000, messages: 1, idle: 9 }),
};

type Options = ConstructorParameters<typeof SimPeer>[1];

/** A listener, or a dialer, whose connection can be resumed. */
function greeted(role: 'dialer' | 'listener', options: Options = {}, meta: Meta = {}): SimPeer {
  const peer = new SimPeer(role, { token: TOKEN, ...options });
  peer.greet({ ...LIMITS, ...(role === 'dialer' && { token: TOKEN }), ...meta });
  peer.lines();
  return peer;
}

/** The peer has another socket, and has read so many frames. What the machine writes upon that. */
function back(peer: SimPeer, count: number, meta: Meta = {}): string[] {
  peer.side.lose();
  return greetAgain(peer, count, meta);
}

function greetAgain(peer: SimPeer, count: number, meta: Meta = {}): string[] {
  const { side } = peer;
  side.renew();
  peer.flush();
  const asks = { resume: { token: TOKEN.token, received: count } };
  peer.greet({ ...LIMITS, ...(side.role === 'listener' ? asks : { resumed: count }), ...meta });
  return peer.lines();
}

const butCredit = (lines: string[]): string[] =>
  lines.filter((line) => !/^(?:CREDIT|HELLO|WELCOME)/u.test(line));

const sequenced = (peer: SimPeer): Frame[] =>
  peer.side.log.frames.filter(({ type }) => isSequenced(type));

describe('What may be resumed', () => {
  it('is a connection for which both sides have set the bit, with a TOKEN [IC-16.1] [IC-17.1]', () => {
    const asked = new SimPeer('listener', { token: TOKEN });
    asked.greet(LIMITS);
    const notAsked = new SimPeer('listener', { token: TOKEN });
    notAsked.greet({ ...LIMITS, caps: 0 });

    expect(asked.lines()).toEqual([expect.stringContaining('caps=RESUME')]);
    expect(asked.side.log.frames.at(-1)?.meta.token).toEqual(TOKEN);
    expect(notAsked.side.log.frames.at(-1)?.meta.token).toBeUndefined();
    expect([asked, notAsked].map(({ side }) => side.connection.token)).toEqual([TOKEN, undefined]);
  });

  it.each<[string, boolean, Meta]>([
    ['the dialer does not offer it (M121)', false, {}],
    ['the listener does not', true, { caps: 0 }],
    ['the listener keeps it for no time', true, { token: { ...TOKEN, ttl: 0 } }],
  ])('is none where %s [IC-16.1] [IC-17.3]', (_what, offers, meta) => {
    const peer = new SimPeer('dialer', offers ? { token: TOKEN } : {});
    peer.greet({ ...LIMITS, token: TOKEN, ...meta });

    expect(peer.side.connection.token).toBeUndefined();
    peer.side.lose();
    expect(peer.side.status).toBe('closed connection-lost maybe');
  });
});

describe('HELLO of a dialer that comes back', () => {
  it('is as complete as the first, and says how far it has come [IC-17.16]', () => {
    const peer = greeted('dialer', { data: Buffer.from('who I am') });
    peer.send({ type: OPEN, session: 2, meta: { name: 'a' } });
    peer.send({ type: SEND, session: 2, id: 1 });
    const [first] = peer.side.log.frames;

    peer.side.lose();
    peer.side.renew();
    peer.flush();

    const { meta, ...hello } = peer.side.log.frames.at(-1) ?? first!;
    expect(meta).toEqual({ ...first?.meta, resume: { token: TOKEN.token, received: 2 } });
    expect(hello).toMatchObject({ type: HELLO, payload: Buffer.from('who I am') });
  });

  it('has the count of the moment when the former socket was given up [IC-17.15]', () => {
    const peer = greeted('dialer');
    const former = peer.side.machine;
    peer.send({ type: OPEN, session: 2, meta: { name: 'a' } });

    peer.side.lose();
    former.onBytes(encodeFrame({ type: SEND, session: 2, id: 1 }), peer.clock.now());
    peer.side.renew();
    peer.flush();

    expect(peer.side.log.frames.at(-1)?.meta.resume?.received).toBe(1);
    expect(peer.side.last.messages).toEqual([]);
  });
});

describe('WELCOME that goes on with a connection', () => {
  it('has the count, and neither TOKEN nor CODE [IC-17.21]', () => {
    const peer = greeted('listener');
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } }, { type: SEND, session: 1, id: 1 });

    back(peer, 0);

    const welcome = peer.side.log.frames.findLast(({ type }) => type === FrameType.WELCOME);
    expect(welcome?.meta).toMatchObject({ resumed: 2, maxFrame: DEFAULT_LIMITS.maxFrame });
    expect(welcome?.meta).not.toHaveProperty('token');
    expect(welcome?.meta).not.toHaveProperty('code');
  });

  it('changes nothing by what else it says, limits included [IC-2.9] [IC-17.21]', () => {
    const peer = greeted('dialer');
    const { connection } = peer.side;
    const before = { peer: connection.peerLimits, token: connection.token };
    const token = { token: Buffer.alloc(32, 8), ttl: 1 };

    back(peer, 0, { ...OTHER_LIMITS, token, code: Code.RESUME_GAP, resumed: 0 });

    expect({ peer: connection.peerLimits, token: connection.token }).toEqual(before);
    const { maxFrame } = DEFAULT_LIMITS;
    const session = peer.side.session('a');
    session.send(Buffer.alloc(maxFrame));
    session.send('x');
    peer.flush();
    expect(peer.lines()).toEqual([
      'OPEN s=1 name="a"',
      'SEND s=1 id=1 65536 B',
      'SEND s=1 id=2 1 B',
    ]);
  });

  it.each([
    ['beyond what was written', 3, 'PROTOCOL'],
    ['before what was acknowledged', 0, 'PROTOCOL'],
    ['of 2^31', 2 ** 31, 'PROTOCOL'],
    ['of what was acknowledged', 1, undefined],
    ['of all that was written', 2, undefined],
  ])('with a count %s is judged (M111) [IC-17.22]', (_what, count, closeCode) => {
    const peer = greeted('dialer');
    peer.side.session('a').send('x');
    peer.flush();
    peer.send({ type: CREDIT, id: 1, payload: creditPayload(0, 0) });

    back(peer, count);

    expect(peer.closeCode).toBe(closeCode);
  });
});

describe('A connection whose socket is lost', () => {
  it('has all that it had, but for what was the socket’s own [IC-2.11]', () => {
    const peer = greeted('listener', { limits: { messages: 2 } });
    const { side } = peer;
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } }, { type: SEND, session: 1, id: 1 });
    const own = side.session('b').send('own');
    side.machine.ping(undefined, peer.clock.now());
    peer.flush();
    peer.bytes(encodeFrame({ type: SEND, session: 1, id: 2 }).subarray(0, 9));
    peer.lines();

    const lines = back(peer, 3);

    expect(side.status).toBe('open');
    expect(lines.filter((line) => line.startsWith('PING'))).toEqual([]);
    expect([own.outcome, side.last.status, side.last.messages.length]).toEqual([
      'pending',
      'open',
      1,
    ]);
    // The half of message 2 is gone with its socket, and messages are counted on.
    peer.send({ type: SEND, session: 1, id: 2 });
    side.last.last.accept();
    peer.flush();
    expect(peer.lines()).toContain('ACCEPT s=1 id=2 REPLY');
    peer.send({ type: SEND, session: 1, id: 3 }, { type: SEND, session: 1, id: 4 });
    expect(peer.closeCode).toBe('FLOW');
  });

  it('has its limits for the other side from the first handshake [IC-2.9]', () => {
    const peer = greeted('listener');
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    const { peerLimits: before } = peer.side.connection;

    back(peer, 1, OTHER_LIMITS);

    expect(peer.side.connection.peerLimits).toBe(before);
    expect(before).toMatchObject({ maxFrame: DEFAULT_LIMITS.maxFrame });
    for (let count = 0; count < 3; count++) peer.side.last.send('x');
    peer.flush();
    expect(butCredit(peer.lines())).toHaveLength(3);
  });

  it('has its deadlines run on meanwhile, at either end [IC-10.5]', () => {
    const peer = greeted('listener');
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    peer.send({ type: SEND, session: 1, id: 1, meta: { deadline: 300 } });
    const own = peer.side.last.send('x', { timeout: 200 });
    peer.flush();
    peer.side.lose();

    peer.advance(199);
    expect(own.outcome).toBe('pending');
    peer.advance(1);
    expect(own.outcome).toBe('failed timeout maybe');
    expect(peer.side.last.last.aborted).toBeUndefined();
    peer.advance(100);

    expect(peer.side.last.last.aborted).toBe('timeout');
  });

  it('cancels a message that timed out meanwhile, once its answer turns out to have begun [IC-10.13]', () => {
    const peer = greeted('listener');
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    const send = peer.side.last.send('x', { takesItems: true, patience: 50 });
    peer.flush();
    peer.lines();
    peer.side.lose();
    peer.advance(50);
    expect(send.outcome).toBe('failed timeout maybe');

    // OPENED and SEND have arrived, and so it is not written again.
    expect(butCredit(greetAgain(peer, 2))).toEqual([]);
    const item = { type: ITEM, flags: REPLY, session: 1, id: 1 };
    peer.send(item);
    expect(butCredit(peer.lines())).toEqual(['CANCEL s=1 id=1']);
    peer.send(item);

    peer.expectSilence();
  });

  it('does not start the clock again of a message whose answer had begun [IC-10.10]', () => {
    const peer = greeted('listener');
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    peer.send({ type: SEND, session: 1, id: 1, meta: { deadline: 50 } });
    const { last } = peer.side.last;
    last.stream(['item'], () => undefined);
    peer.flush();
    peer.lines();

    // Neither OPENED nor the item has arrived.
    const again = butCredit(back(peer, 0));
    peer.advance(50_000);

    expect(again).toEqual(['OPENED s=1', 'ITEM s=1 id=1 REPLY 4 B']);
    expect([last.aborted, peer.side.last.timeouts]).toEqual([undefined, []]);
  });

  it.each(['given up', 'replaced'] as const)(
    'takes nothing from that socket when it is %s [IC-17.6] [IC-17.15] [IC-17.20]',
    (how) => {
      const peer = greeted('listener');
      peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
      const former = peer.side.machine;
      const send = encodeFrame({ type: SEND, session: 1, id: 1, payload: Buffer.from('late') });
      former.onBytes(send.subarray(0, 18), peer.clock.now());

      if (how === 'given up') peer.side.lose();
      else former.supersede(peer.clock.now());
      former.onBytes(send.subarray(18), peer.clock.now());
      former.onBytes(send, peer.clock.now());
      greetAgain(peer, 1);
      former.onBytes(send, peer.clock.now());

      expect(peer.side.connection.received).toBe(1);
      expect(peer.side.last.messages).toEqual([]);
      peer.bytes(send);
      expect(peer.side.last.messages.map(({ text }) => text)).toEqual(['late']);
    },
  );
});

describe('What is written again', () => {
  /** Five frames: OPENED, two SENDs, an ACCEPT, an END. */
  function written(): SimPeer {
    const peer = greeted('listener');
    peer.side.onMessage = (message) => void message.respond('done');
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    const session = peer.side.last;
    session.send('one', { timeout: 1000, metadata: [['k', 'v']] });
    session.send('two', { oneWay: true });
    peer.flush();
    peer.send({ type: SEND, session: 1, id: 1 });
    session.end();
    peer.flush();
    peer.lines();
    return peer;
  }

  it.each([0, 1, 2, 3, 4, 5])('is what comes after the first %d, in order [IC-17.24]', (count) => {
    const peer = written();
    const all = sequenced(peer);

    back(peer, count);

    expect(sequenced(peer).slice(5)).toEqual(all.slice(count));
  });

  it('comes before all that is new, and is acknowledged by the count [IC-17.24]', () => {
    const peer = written();
    peer.side.lose();
    const session = peer.side.session('new');
    session.send('x');

    const lines = butCredit(greetAgain(peer, 3));

    expect(lines).toEqual([
      'ACCEPT s=1 id=1 REPLY 4 B',
      'END s=1',
      'OPEN s=2 name="new"',
      'SEND s=2 id=1 1 B',
    ]);
    expect(peer.side.connection.output.sent.acknowledged).toBe(3);
  });

  it('is the same but for DEADLINE, which never grows and is at least 1 [IC-17.25]', () => {
    const peer = greeted('listener');
    const session = peer.side.session('a', { timeout: 5000, metadata: [['k', 'v']] });
    const sends = [
      session.send('small', { timeout: 1000, metadata: [['k', 'v']] }),
      session.send(Buffer.alloc(100_000, 'large'), { timeout: 3000 }),
    ];
    peer.flush();
    const first = sequenced(peer);
    const octets = (frame: Frame): Buffer => {
      const { deadline, ...meta } = frame.meta;
      return encodeFrame({
        ...frame,
        meta: deadline === undefined ? meta : { ...meta, deadline: 1 },
      });
    };
    const deadlines = (frames: Frame[]): number[] =>
      frames.flatMap(({ meta }) => meta.deadline ?? []);

    peer.advance(400);
    back(peer, 0);
    const second = sequenced(peer).slice(first.length);
    peer.side.lose();
    peer.advance(1600);
    greetAgain(peer, 0);
    const third = sequenced(peer).slice(first.length + second.length, 3 * first.length);

    expect(sends.map(({ outcome }) => outcome)).toEqual(['failed timeout maybe', 'pending']);
    expect([first, second, third].map(deadlines)).toEqual([
      [5000, 1000, 3000],
      [4600, 600, 2600],
      [3000, 1, 1000],
    ]);
    for (const again of [second, third]) expect(again.map(octets)).toEqual(first.map(octets));
  });

  it('is charged to no credit again [IC-17.26]', () => {
    const limits = { messages: 2, items: 1 };
    const peer = greeted('listener', { limits }, limitsToMeta({ ...DEFAULT_LIMITS, ...limits }));
    const session = peer.side.session('a');
    const stream = session.send('1', { items: ['a', 'b'] });
    session.send(Buffer.alloc(30_000));
    session.send('waits');
    peer.flush();
    const { sendWindow } = peer.side.connection;
    const room = [sendWindow.room, session.machine.sender.window.room];
    const before = sequenced(peer).length;

    for (let round = 0; round < 3; round++) back(peer, 0);

    expect(sequenced(peer)).toHaveLength(4 * before);
    expect([sendWindow.room, session.machine.sender.window.room]).toEqual(room);
    // One item has credit, and the next waits; as the third message does.
    expect(stream.source?.given).toBe(2);
    peer.send({ type: OPENED, session: 2 }, { type: ACCEPT, flags: REPLY, session: 2, id: 2 });
    expect(peer.closeCode).toBeUndefined();
  });

  it('does not count as sent before it is written: CREDIT may not acknowledge it [IC-17.10]', () => {
    const early = written();
    const late = written();
    const acknowledge = { type: CREDIT, id: 5, payload: creditPayload(0, 0) };

    early.side.room = 0;
    back(early, 3);
    early.send(acknowledge);
    early.side.drain();
    early.flush();
    back(late, 3);
    late.send(acknowledge);

    expect([early.closeCode, late.closeCode]).toEqual(['PROTOCOL', undefined]);
  });
});

describe('CREDIT after a resume', () => {
  const limits = { messages: 4, items: 4, sessions: 2 };

  /** A listener that has raised every kind of limit, and keeps its last frame. */
  function raised(): SimPeer {
    const peer = greeted('listener', { limits });
    peer.send(
      { type: OPEN, session: 1, meta: { name: 'a' } },
      { type: OPEN, session: 3, meta: { name: 'b' } },
      { type: SEND, session: 1, id: 1 },
      { type: SEND, session: 1, id: 2 },
      { type: SEND, session: 1, id: 3, flags: STREAM },
      ...Array.from({ length: 3 }, () => ({ type: ITEM, session: 1, id: 3 })),
    );
    const [session] = peer.side.incoming;
    session?.last.read(2);
    for (const message of session?.messages.slice(0, 2) ?? []) message.accept();
    peer.flush();
    expect(peer.lines().filter((line) => line.startsWith('CREDIT s='))).toHaveLength(2);
    return peer;
  }

  it('says all limits again, after what is written again [IC-17.27]', () => {
    const peer = raised();

    const [welcome, ...lines] = back(peer, 3);

    expect(welcome).toContain('WELCOME');
    expect(lines).toEqual([
      'ACCEPT s=1 id=2 REPLY',
      'CREDIT s=1 messages=6 bytes=4194304',
      'CREDIT s=3 messages=4 bytes=4194304',
      'CREDIT s=1 id=3 REPLY items=6',
      'CREDIT received=8 opens=2 bytes=67108864',
    ]);
  });

  it('is not written before all of that is, however little the socket takes [IC-17.27]', () => {
    const peer = raised();
    peer.side.room = 1;

    const lines = back(peer, 0).map((line) => line.split(' ')[0]);

    expect(lines.slice(0, 5)).toEqual(['WELCOME', 'OPENED', 'OPENED', 'ACCEPT', 'ACCEPT']);
    expect(new Set(lines.slice(5))).toEqual(new Set(['CREDIT']));
  });

  it('costs nothing once for the connection, each session and each message [IC-17.28]', () => {
    const peer = greeted('listener');
    const session = peer.side.session('a');
    for (const items of [['x'], ['y']]) session.send('', { items, end: false });
    peer.flush();
    peer.send({ type: OPENED, session: 2 });
    back(peer, peer.side.connection.output.sent.acknowledged + 5);
    const again = [
      { type: CREDIT, id: 5, payload: creditPayload(1024, 64 * 1024 * 1024) },
      { type: CREDIT, session: 2, payload: creditPayload(256, 4 * 1024 * 1024) },
      { type: CREDIT, session: 2, id: 1, flags: REPLY, payload: creditPayload(32) },
      { type: CREDIT, session: 2, id: 2, flags: REPLY, payload: creditPayload(32) },
    ];
    const useless = { type: PONG, id: 99 };

    peer.burst(again);
    peer.burst(Array.from({ length: 1000 }, () => useless));
    expect(peer.closeCode).toBeUndefined();
    peer.burst([useless]);

    expect(peer.closeCode).toBe('CALM');
  });
});
