import { describe, expect, it } from '@jest/globals';
import { CLOSED_HERE, DEFAULT_LIMITS, type Limits } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  Code,
  describeFrame,
  encodeFrame,
  encodePreface,
  FrameType,
  type Meta,
  VERSION,
} from '../../../src/wire/index.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import { SimPair } from '../../support/sim/sim-pair.js';

const HELLO = encodeFrame({ type: FrameType.HELLO, meta: limitsToMeta(DEFAULT_LIMITS) });
const roles = ['dialer', 'listener'] as const;

describe('The handshake', () => {
  it('takes one round trip, the dialer first [IC-2.3] [IC-2.8]', () => {
    const pair = new SimPair();

    pair.there.flush();
    pair.back.flush();
    expect(pair.listener.log.octets).toBe(0);
    pair.run();

    expect(pair.dialer.log.frames.map((frame) => describeFrame(frame))).toEqual([
      'HELLO maxFrame=65536 maxMessage=16777216 idle=30000ms caps=none opens=1024 bytes=67108864 ' +
        'messages=256 sessionBytes=4194304 items=32 agent="dialer" maxMeta=8192',
    ]);
    expect(pair.listener.log.lines()).toEqual([
      expect.stringMatching(/^WELCOME .* agent="listener"/),
    ]);
    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('shows each side the data, the agent and the limits of the other', () => {
    const pair = SimPair.open({
      dialer: { data: Buffer.from('who I am'), agent: 'a/1', limits: { messages: 7 } },
      listener: { data: Buffer.from('welcome'), agent: 'b/2', limits: { messages: 9 } },
    });

    expect(pair.listener.greeting).toMatchObject({ agent: 'a/1', data: Buffer.from('who I am') });
    expect(pair.dialer.greeting).toMatchObject({ agent: 'b/2', data: Buffer.from('welcome') });
    expect(pair.listener.connection.peerLimits).toEqual(pair.dialer.limits);
    expect(pair.dialer.connection.peerLimits).toEqual(pair.listener.limits);
  });

  it('succeeds however the octets are cut', () => {
    const pair = new SimPair();
    pair.there.cut = pair.back.cut = () => 1;

    pair.run();

    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('waits for an application that decides later [IC-2.5]', () => {
    const pair = new SimPair();
    pair.listener.onHandshake = () => undefined;
    pair.run();
    expect(pair.listener.log.lines()).toEqual([]);

    pair.advance(9000);
    pair.listener.accept();
    pair.run();

    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it.each([
    ['HELLO', HELLO],
    ['PING', encodeFrame({ type: FrameType.PING })],
  ])('is spoiled by %s while the application decides', (_, frame) => {
    const peer = new SimPeer('listener');
    peer.side.onHandshake = () => undefined;
    peer.greet();

    peer.bytes(frame);
    peer.side.accept();
    peer.flush();

    peer.expectClose(Code.STATE);
  });

  it('lets a frame follow WELCOME in the same chunk', () => {
    const pair = new SimPair();
    pair.there.flush();
    pair.there.deliver();
    pair.listener.session('from the listener');

    pair.run();

    expect(pair.dialer.last.name).toBe('from the listener');
  });

  it('is decided once [IC-2.5]', () => {
    const pair = SimPair.open();

    pair.listener.accept();
    pair.listener.handshake.refuse(Code.FORBIDDEN, '', Buffer.alloc(0));
    pair.run();

    expect(pair.listener.log.lines()).toEqual([]);
    expect(pair.dialer.status).toBe('open');
  });
});

describe('A refused connection', () => {
  it('tells the dialer why, with code, reason and data [IC-6.9]', () => {
    const pair = new SimPair();
    pair.listener.onHandshake = () =>
      pair.listener.handshake.refuse(Code.FORBIDDEN, 'not you', Buffer.from('call us'));

    pair.run();

    expect(pair.listener.log.lines()).toEqual(['CLOSE code=FORBIDDEN text="not you" 7 B']);
    expect(pair.dialer.failure).toMatchObject({
      kind: 'connection-rejected',
      executed: 'no',
      code: Code.FORBIDDEN,
      reason: 'not you',
      data: Buffer.from('call us'),
    });
    expect(pair.listener.status).toBe('closed connection-rejected no');
    expect([pair.listener.ended, pair.dialer.ended]).toEqual([true, true]);
  });

  it('has a reason that fits, cut between two characters [IC-5.11]', () => {
    const pair = new SimPair();
    const reason = `ab${'€'.repeat(400)}\0`;
    pair.listener.onHandshake = () =>
      pair.listener.handshake.refuse(Code.FORBIDDEN, reason, Buffer.alloc(0));

    pair.run();

    expect(pair.dialer.failure.reason).toBe(`ab${'€'.repeat(340)}`);
  });

  it('leaves nobody a connection, and no timer', () => {
    const pair = new SimPair();
    pair.listener.onHandshake = () =>
      pair.listener.handshake.refuse(Code.OVERLOADED, '', Buffer.alloc(0));

    pair.run();

    expect(() => pair.dialer.connection).toThrow('no connection');
    expect(() => pair.listener.connection).toThrow('no connection');
    expect(pair.clock.pending).toBe(0);
  });
});

describe('The version', () => {
  it('of a later dialer is answered with this one, and the dialer decides [IC-3.4]', () => {
    const peer = new SimPeer('listener');

    peer.bytes(encodePreface(255), HELLO);

    expect(peer.side.log.version).toBe(1);
    expect(peer.side.status).toBe('open');
  });

  it('0 is refused, after our own (M5) [IC-3.5]', () => {
    const peer = new SimPeer('listener');

    peer.bytes(encodePreface(0));

    expect(peer.side.log.version).toBe(1);
    peer.expectClose(Code.VERSION);
  });

  it.each([0, 2, 255])('%i of a listener ends the dialer [IC-3.6]', (version) => {
    const peer = new SimPeer('dialer');

    peer.bytes(encodePreface(version));

    peer.expectClose(Code.VERSION);
    expect(peer.side.failure).toMatchObject({ kind: 'protocol', executed: 'no' });
    expect(peer.side.failure.message).toContain(`version ${version}`);
  });
});

describe('The preface of a dialer', () => {
  it('offers the highest version there is, the one that HELLO may follow at once [IC-3.3] [IC-3.7]', () => {
    const { side } = new SimPeer('dialer');

    expect(side.log.version).toBe(VERSION);
    expect(side.log.version).toBe(1);
    expect(side.log.frames.map(({ type }) => type)).toEqual([FrameType.HELLO]);
  });
});

describe('Before a valid preface', () => {
  it('a listener writes nothing [IC-2.4]', () => {
    const peer = new SimPeer('listener');

    for (const octet of encodePreface().subarray(0, 7)) peer.bytes(Buffer.from([octet]));

    expect(peer.side.log.octets).toBe(0);
    expect(peer.side.aborted).toBe(false);
  });

  it.each([
    ['random octets', Buffer.from([1, 2, 3])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['TLS', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00])],
    ['a relay that lost the CR', Buffer.from([0xf1, 0x49, 0x4e, 0x54, 0x43, 0x0a, 0x01])],
  ])('%s drop the socket without an answer (M1–M3) [IC-3.2]', (_, octets) => {
    const peer = new SimPeer('listener');

    peer.bytes(octets);

    expect(peer.side.log.octets).toBe(0);
    expect(peer.side).toMatchObject({ aborted: true, ended: false });
    expect(peer.side.status).toBe('closed protocol no');
  });

  it('a dialer drops what is no listener of ours', () => {
    const peer = new SimPeer('dialer');
    const before = peer.side.log.octets;

    peer.bytes(Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'));

    expect(peer.side.log.octets).toBe(before);
    expect(peer.side.aborted).toBe(true);
    expect(peer.side.failure.message).toContain('SSH');
  });
});

describe('A handshake that takes too long', () => {
  it('drops who has not sent a preface, also octet by octet (M4) [IC-2.6] [IC-12.14]', () => {
    const peer = new SimPeer('listener', { handshakeTimeout: 100 });

    peer.bytes(encodePreface().subarray(0, 3));
    peer.advance(99);
    expect(peer.side.aborted).toBe(false);
    peer.advance(1);

    expect(peer.side.aborted).toBe(true);
    expect(peer.side.log.octets).toBe(0);
    expect(peer.side.status).toBe('closed handshake-timeout no');
  });

  it('is closed with its reason when HELLO does not come [IC-2.6]', () => {
    const peer = new SimPeer('listener', { handshakeTimeout: 100 });

    peer.bytes(encodePreface(), HELLO.subarray(0, 20));
    peer.advance(100);

    peer.expectClose(Code.HANDSHAKE_TIMEOUT);
  });

  it('is closed when the application does not decide, and the dialer learns it', () => {
    const pair = new SimPair({ listener: { handshakeTimeout: 100 } });
    pair.listener.onHandshake = () => undefined;
    pair.run();

    pair.advance(100);
    pair.listener.accept();
    pair.run();

    expect(pair.listener.status).toBe('closed handshake-timeout no');
    expect(pair.dialer.failure).toMatchObject({
      kind: 'connection-rejected',
      code: Code.HANDSHAKE_TIMEOUT,
    });
  });

  it('makes a dialer give up, whether there is a preface or not', () => {
    const silent = new SimPeer('dialer', { handshakeTimeout: 100 });
    const slow = new SimPeer('dialer', { handshakeTimeout: 100 });
    slow.bytes(encodePreface());

    silent.advance(100);
    slow.advance(100);

    expect(silent.side).toMatchObject({ aborted: true, status: 'closed handshake-timeout no' });
    slow.expectClose(Code.HANDSHAKE_TIMEOUT);
  });

  it('has its whole time after a standstill of this thread', () => {
    const peer = new SimPeer('listener', { handshakeTimeout: 100 });
    peer.clock.skip(60_000);
    expect(peer.side.aborted).toBe(false);

    peer.advance(99);
    peer.greet();
    peer.advance(1000);

    expect(peer.side.status).toBe('open');
  });

  it('ends after a standstill of this thread where nothing comes', () => {
    const peer = new SimPeer('listener', { handshakeTimeout: 100 });
    peer.clock.skip(60_000);

    peer.advance(100);

    expect(peer.side.aborted).toBe(true);
  });

  it('does not count once the connection stands', () => {
    const pair = SimPair.open({ dialer: { handshakeTimeout: 100 } });

    pair.advance(5000);

    expect(pair.dialer.status).toBe('open');
  });

  it('is not held against who decided in time', () => {
    const peer = new SimPeer('listener', { handshakeTimeout: 100 });
    peer.advance(50);

    peer.greet();
    peer.advance(60);

    expect(peer.side.status).toBe('open');
  });
});

describe('An end during the handshake', () => {
  it.each(['preface', 'greeting', 'judging'])('is a lost connection in %s', (state) => {
    const peer = new SimPeer('listener');
    peer.side.onHandshake = () => undefined;
    if (state !== 'preface') peer.bytes(encodePreface());
    if (state === 'judging') peer.bytes(HELLO);

    peer.side.lose('reset');

    expect(peer.side.failure).toMatchObject({ kind: 'connection-lost', executed: 'no' });
    expect(peer.side.failure.message).toContain('reset');
  });

  it('by a dialer that gives up while the application decides is no violation', () => {
    const pair = new SimPair();
    pair.listener.onHandshake = () => undefined;
    pair.run();

    pair.dialer.close();
    pair.run();
    pair.listener.accept();
    pair.run();

    expect(pair.dialer.status).toBe('closed');
    expect(pair.listener.status).toBe('closed connection-rejected no');
    expect(pair.listener.log.lines()).toEqual([]);
    expect(pair.listener.ended).toBe(true);
  });

  it('by a dialer whose application closes the connection before it begins is in order', () => {
    const peer = new SimPeer('dialer');
    peer.side.onBegin = (connection) => connection.fail(CLOSED_HERE, false);
    peer.greet();

    peer.expectClose(Code.OK);
    expect(peer.side.closed).toEqual({ failure: undefined });
  });

  it('by a listener that closes instead of deciding is a refusal', () => {
    const pair = new SimPair();
    pair.listener.onHandshake = () => undefined;
    pair.run();

    pair.listener.close(Code.OVERLOADED, 'later');
    pair.run();

    expect(pair.listener.status).toBe('closed');
    expect(pair.dialer.failure).toMatchObject({ kind: 'connection-rejected', reason: 'later' });
  });

  it.each(roles)(
    'by a %s that closes before it has heard anything says nothing more [IC-12.14]',
    (role) => {
      const peer = new SimPeer(role);
      const before = peer.side.log.octets;

      peer.side.close();
      peer.flush();

      expect(peer.side.log.octets).toBe(before);
      expect(peer.side).toMatchObject({ aborted: true, status: 'closed' });
    },
  );
});

describe('A greeting', () => {
  const limits = limitsToMeta(DEFAULT_LIMITS);

  function greeted(meta: Meta): SimPeer {
    const peer = new SimPeer('listener');
    peer.greet(meta);
    return peer;
  }

  it.each(['maxFrame', 'connectionCredit', 'sessionCredit'] as const)(
    'without %s is refused (M12)',
    (field) => {
      const { [field]: _missing, ...rest } = limits;

      greeted(rest).expectClose(Code.META);
    },
  );

  it.each<[string, Partial<Limits>]>([
    ['a connection window below one frame', { connectionBytes: 65_535 }],
    ['a connection window beyond 2^30', { connectionBytes: 2 ** 30 + 1 }],
    ['a session window below one frame', { sessionBytes: 65_535 }],
    ['a session window beyond 2^30', { sessionBytes: 2 ** 32 - 1 }],
    ['more messages than ids can tell apart', { messages: 2 ** 30 + 1 }],
  ])('with %s is refused [IC-6.5] [IC-6.6]', (_, wrong) => {
    const peer = greeted(limitsToMeta({ ...DEFAULT_LIMITS, ...wrong }));

    peer.expectClose(Code.META);
    expect(peer.side.failure).toMatchObject({ kind: 'protocol', executed: 'no' });
  });

  it('with the largest windows is taken', () => {
    const largest = { connectionBytes: 2 ** 30, sessionBytes: 2 ** 30, messages: 2 ** 30 };

    expect(greeted(limitsToMeta({ ...DEFAULT_LIMITS, ...largest })).side.status).toBe('open');
  });

  it('that leaves out what has a default is taken', () => {
    const { maxFrame, connectionCredit, sessionCredit } = limits;

    const peer = greeted({ maxFrame, connectionCredit, sessionCredit } as Meta);

    expect(peer.side.connection.peerLimits).toEqual({ ...DEFAULT_LIMITS, idle: 0 });
    expect(peer.side.greeting?.agent).toBe('');
  });

  it('that offers capabilities nobody knows is taken (M16)', () => {
    expect(greeted({ ...limits, caps: 0xfffffffe }).side.status).toBe('open');
  });

  it('announces no larger messages than its window holds', () => {
    const peer = SimPeer.greeted('listener', {}, { connectionBytes: 100_000, maxMessage: 1e9 });

    // Beside the message's own fields, the largest small frame stays free for settlements.
    const fields = 8192 + 11;
    expect(peer.side.connection.peerLimits.maxMessage).toBe(100_000 - (8192 + 8192 + 7) - fields);
  });

  it('may have 8 KiB of fields, whatever its reader allows afterwards [IC-2.7]', () => {
    const peer = new SimPeer('listener', { limits: { maxMeta: 2048 } });
    const hello = encodeFrame({ type: FrameType.HELLO, meta: limits, payload: Buffer.alloc(100) });
    const ignorable = Buffer.alloc(8192 - hello.readUInt16BE(2), 0x8a);
    ignorable.writeUInt16BE(ignorable.length - 3, 1);
    const header = Buffer.from(hello.subarray(0, 16));
    header.writeUInt16BE(8192, 2);
    header.writeUInt32BE(8192 + 100, 4);

    peer.bytes(encodePreface(), header, ignorable, hello.subarray(16));

    expect(peer.side.status).toBe('open');
    expect(peer.side.greeting?.data).toHaveLength(100);
  });

  it('beyond 16 KiB is refused at its header, before anything is kept (M11) [IC-2.7] [IC-6.7]', () => {
    const peer = new SimPeer('listener');
    const header = Buffer.alloc(16);
    header[0] = FrameType.HELLO;
    header.writeUInt32BE(16 * 1024 + 1, 4);

    peer.bytes(encodePreface(), header);

    peer.expectClose(Code.FRAME_SIZE);
  });
});
