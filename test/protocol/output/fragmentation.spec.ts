import { describe, expect, it } from '@jest/globals';
import { Code, Flag, FrameType, MIN_FRAGMENT } from '../../../src/wire/index.js';
import { Random } from '../../support/random.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const random = new Random(1);

describe('A large message', () => {
  it.each([8193, 65_536, 65_537, 1_000_000, 16 * 1024 * 1024])(
    'of %i octets arrives as it was sent, and so does its answer [IC-9.3]',
    (size) => {
      const pair = SimPair.open();
      const { dialer, listener } = pair.join();
      const payload = random.bytes(Math.min(size, 100_000));
      const body = Buffer.alloc(size, payload);

      const send = dialer.send(body);
      pair.run();
      expect(listener.last.data.equals(body)).toBe(true);
      listener.last.respond(body);
      pair.run();

      expect(send.data.equals(body)).toBe(true);
    },
  );

  it.each([1, 7, 100, 4096, 65_536])('arrives the same in chunks of %i octets', (size) => {
    const pair = SimPair.open();
    pair.there.cut = pair.back.cut = () => size;
    const { dialer, listener } = pair.join();
    const body = random.bytes(150_000);

    const send = dialer.send(body);
    pair.run();
    listener.last.respond(body);
    pair.run();

    expect(listener.last.data.equals(body)).toBe(true);
    expect(send.data.equals(body)).toBe(true);
  });

  it('arrives the same where the kernel takes its frames late [IC-4.4]', () => {
    const pair = SimPair.open();
    pair.there.takes = pair.back.takes = false;
    const { dialer, listener } = pair.join();
    const bodies = Array.from({ length: 20 }, (_, at) => random.bytes(at % 2 === 0 ? 60 : 30_000));

    for (const body of bodies) dialer.send(body);
    for (let turn = 0; turn < 50; turn++) {
      pair.there.flush();
      pair.there.deliver(10_000);
      pair.back.flush();
      pair.back.deliver(10);
    }
    pair.run();

    expect(listener.messages.map(({ data }, at) => data.equals(bodies[at]!))).toEqual(
      bodies.map(() => true),
    );
  });

  it('says its size and its metadata once, and fills the frames of the other side [IC-9.2]', () => {
    const pair = SimPair.open({ listener: { limits: { maxFrame: 16_384 } } });
    const { dialer } = pair.join();

    dialer.send(Buffer.alloc(40_000), { timeout: 5000, metadata: [['k', 'v']] });
    pair.run();

    expect(pair.dialer.log.lines()).toEqual([
      'OPEN s=1 name="test"',
      'SEND s=1 id=1 MORE deadline=5000ms total=40000 metadata=1 16360 B',
      'FRAG s=1 id=1 MORE 16384 B',
      'FRAG s=1 id=1 7256 B',
    ]);
  });

  it('leaves in one frame where it fits, and says no size [IC-9.1]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();

    dialer.send(Buffer.alloc(65_529), { timeout: 1000 });
    dialer.send(Buffer.alloc(65_530), { timeout: 1000 });
    pair.run();

    expect(pair.dialer.log.lines().slice(1)).toEqual([
      'SEND s=1 id=1 deadline=1000ms 65529 B',
      'SEND s=1 id=2 MORE deadline=1000ms total=65530 65518 B',
      'FRAG s=1 id=2 12 B',
    ]);
  });

  it('leaves in fragments where only its fields make it too large for a frame [IC-9.1]', () => {
    const pair = SimPair.open({ limits: { maxFrame: 16_384, maxMeta: 12_288 } });
    const { dialer, listener } = pair.join();
    const metadata = [['k', 'v'.repeat(12_000)]] as const;

    dialer.send(Buffer.alloc(8000), { metadata });
    pair.run();
    expect(listener.last.data).toHaveLength(8000);
    listener.last.respond(Buffer.alloc(8000), metadata);
    pair.run();

    expect(pair.dialer.log.lines().slice(1)).toEqual([
      'SEND s=1 id=1 MORE total=8000 metadata=1 4368 B',
      'FRAG s=1 id=1 3632 B',
    ]);
  });

  it('takes no fragment that is not worth its header', () => {
    const pair = SimPair.open({ limits: { maxFrame: 16_384, sessionBytes: 40_000 } });
    const { dialer } = pair.join();
    dialer.send(Buffer.alloc(7000));
    dialer.send(Buffer.alloc(100_000));

    pair.run();

    const pieces = pair.dialer.log.frames.filter(({ flags }) => (flags & Flag.MORE) !== 0);
    expect(pieces.length).toBeGreaterThan(3);
    expect(Math.min(...pieces.map(({ payload }) => payload.length))).toBeGreaterThanOrEqual(
      MIN_FRAGMENT,
    );
  });
});

describe('Large messages of several sessions', () => {
  it('take turns, one fragment each [IC-9.8]', () => {
    const pair = SimPair.open();
    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));
    for (const session of sessions) session.send(Buffer.alloc(300_000));

    pair.run();

    const turns = pair.dialer.log.frames.slice(4).map(({ session }) => session);
    expect(turns).toEqual([1, 3, 5, 1, 3, 5, 1, 3, 5, 1, 3, 5, 1, 3, 5]);
  });

  it('let a small one of another session overtake them [IC-9.8]', () => {
    const pair = SimPair.open();
    const [bulk, other] = ['bulk', 'other'].map((name) => pair.dialer.session(name));
    bulk?.send(Buffer.alloc(10_000_000));
    pair.dialer.room = 65_536;
    pair.there.flush();
    pair.there.deliver();
    pair.dialer.log.lines();

    other?.send('urgent');
    pair.there.flush();
    pair.there.deliver();

    expect(pair.dialer.log.lines()).toEqual(['SEND s=3 id=1 6 B', 'FRAG s=1 id=1 MORE 65536 B']);
    expect(pair.listener.last.last.text).toBe('urgent');
  });

  it('let answers overtake them', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const back = pair.listener.session('back');
    const asked = back.send('?');
    pair.run();
    dialer.send(Buffer.alloc(10_000_000));
    pair.dialer.room = 65_536;
    pair.there.flush();
    pair.there.deliver();

    pair.dialer.last.last.respond('!');
    pair.there.flush();
    pair.there.deliver();

    expect(asked.outcome).toBe('accepted "!"');
  });

  it('come whole, each with its own octets', () => {
    const pair = SimPair.open();
    const bodies = [200_000, 300_000, 90_000].map((size) => random.bytes(size));
    const sends = bodies.map((body, at) => pair.dialer.session(`${at}`).send(body));
    pair.listener.onMessage = (message) => void message.respond(message.data);

    pair.run();

    expect(sends.map(({ data }, at) => data.equals(bodies[at]!))).toEqual([true, true, true]);
  });

  it('do not begin before the other side can hold them whole [IC-8.6]', () => {
    const pair = SimPair.open({ limits: { maxMessage: 400_000, connectionBytes: 500_000 } });
    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));
    for (const session of sessions) session.send(Buffer.alloc(400_000));

    pair.run();

    const begun = pair.dialer.log.frames.filter(({ type }) => type === FrameType.SEND);
    expect(begun.map(({ session }) => session)).toEqual([1, 3]);
    expect(pair.listener.incoming[1]?.messages).toEqual([]);
  });
});

describe('In one session', () => {
  it('a message waits until the large one before it is written whole [IC-6.30]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    dialer.send(Buffer.alloc(100_000));
    dialer.send('after');

    pair.run();

    expect(pair.dialer.log.lines().slice(1)).toEqual([
      'SEND s=1 id=1 MORE total=100000 65525 B',
      'FRAG s=1 id=1 34475 B',
      'SEND s=1 id=2 5 B',
    ]);
  });

  it('large answers travel side by side', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = ['1', '2'].map((text) => dialer.send(text));
    pair.run();
    const bodies = [random.bytes(200_000), random.bytes(150_000)];

    for (const [at, message] of listener.messages.entries()) message.respond(bodies[at]!);
    pair.run();

    const order = pair.listener.log.frames.slice(-7).map(({ id }) => id);
    expect(order.filter((id) => id === 1)).toHaveLength(4);
    expect(order.slice(0, 4)).toEqual([1, 2, 1, 2]);
    expect(sends.map(({ data }, at) => data.equals(bodies[at]!))).toEqual([true, true]);
  });
});

describe('An upload that its receiver rejects early', () => {
  function uploading(): { peer: SimPeer; send: ReturnType<SimPeer['side']['last']['send']> } {
    const peer = SimPeer.greeted('listener', {}, { sessionBytes: 200_000 });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = peer.side.last.send(Buffer.alloc(1_000_000));
    peer.flush();
    peer.lines();
    return { peer, send };
  }

  const reject = {
    type: FrameType.REJECT,
    flags: Flag.REPLY,
    session: 1,
    id: 1,
    meta: { code: Code.BUSY },
  };

  it('stops, and lets those behind it go [IC-9.6]', () => {
    const { peer, send } = uploading();
    peer.side.last.send('next');

    peer.send(reject);
    peer.send({
      type: FrameType.CREDIT,
      session: 1,
      payload: Buffer.from([0, 0, 1, 0, 0, 16, 0, 0]),
    });

    expect(send.outcome).toBe('rejected BUSY');
    expect(peer.lines()).toEqual(['SEND s=1 id=2 4 B']);
  });

  it('lets those behind it go without any further credit', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.side.last.send(Buffer.alloc(1_000_000));
    peer.side.last.send('next');
    peer.side.room = 100_000;
    peer.side.flush();
    peer.side.room = 0;
    peer.lines();

    peer.send(reject);
    peer.side.drain();
    peer.flush();

    expect(peer.lines()).toEqual(['SEND s=1 id=2 4 B']);
  });

  it('lets the session end', () => {
    const { peer } = uploading();
    peer.side.last.end();
    peer.flush();
    expect(peer.lines()).toEqual([]);

    peer.send(reject);

    expect(peer.lines()).toEqual(['END s=1']);
  });

  it('is answered with a large answer as well', () => {
    const { peer, send } = uploading();
    const frame = { ...reject, flags: Flag.REPLY | Flag.MORE, payload: Buffer.alloc(5000, 1) };

    peer.send({ ...frame, meta: { code: Code.BUSY, total: 5001 } });
    expect(send.outcome).toBe('pending');
    peer.send({
      type: FrameType.FRAG,
      flags: Flag.REPLY,
      session: 1,
      id: 1,
      payload: Buffer.alloc(1),
    });

    expect(send.outcome).toBe('rejected BUSY 5001 B');
  });
});
