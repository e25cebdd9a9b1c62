import { describe, expect, it } from '@jest/globals';
import { Code, FrameType } from '../../../src/wire/index.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import { SimPair } from '../../support/sim/sim-pair.js';

/** A pair whose listener leaves every session undecided. */
function undecided(): SimPair {
  const pair = SimPair.open();
  pair.listener.onSession = () => undefined;
  return pair;
}

describe('A session', () => {
  it('carries its name, data and metadata to the acceptor', () => {
    const pair = undecided();

    pair.dialer.session('orders', { data: Buffer.from('hello'), metadata: [['a', 'b']] });
    pair.run();

    const { name, machine, status } = pair.listener.last;
    expect([name, status]).toEqual(['orders', 'pending']);
    expect(machine.openData).toEqual(Buffer.from('hello'));
    expect(machine.openMeta.metadata).toEqual([['a', 'b']]);
  });

  it('is accepted with data and metadata', () => {
    const pair = undecided();
    const session = pair.dialer.session('orders');
    pair.run();
    expect(session.status).toBe('opening');

    pair.listener.last.accept('come in', [['c', 'd']]);
    pair.run();

    expect(session.status).toBe('open');
    expect(session.opened).toEqual({
      meta: { metadata: [['c', 'd']] },
      data: Buffer.from('come in'),
    });
  });

  it('is rejected with code, reason and data [IC-6.22]', () => {
    const pair = undecided();
    const session = pair.dialer.session('orders');
    pair.run();

    pair.listener.last.reject(Code.SESSION_FORBIDDEN, 'not for you', 'ask an admin');
    pair.run();

    expect(session.closed?.failure).toMatchObject({
      kind: 'session-rejected',
      executed: 'no',
      code: Code.SESSION_FORBIDDEN,
      reason: 'not for you',
      data: Buffer.from('ask an admin'),
    });
    expect(pair.listener.last.status).toBe('closed session-closed');
    expect(pair.dialer.log.lines()).toEqual(['OPEN s=1 name="orders"']);
  });

  it('is decided once [IC-6.18]', () => {
    const pair = undecided();
    pair.dialer.session('a');
    pair.run();
    const { last } = pair.listener;

    expect([last.accept(), last.accept(), last.reject()]).toEqual([true, false, false]);
    pair.run();

    expect(pair.listener.log.lines()).toEqual(['OPENED s=1']);
  });

  it('is opened by either side, by both at once, under numbers of their own', () => {
    const pair = SimPair.open();

    const ours = ['a', 'b'].map((name) => pair.dialer.session(name));
    const theirs = ['c', 'd'].map((name) => pair.listener.session(name));
    pair.run();

    expect(ours.map(({ id, status }) => [id, status])).toEqual([
      [1, 'open'],
      [3, 'open'],
    ]);
    expect(theirs.map(({ id, status }) => [id, status])).toEqual([
      [2, 'open'],
      [4, 'open'],
    ]);
    expect(pair.dialer.incoming.map(({ name }) => name)).toEqual(['c', 'd']);
    expect(pair.listener.incoming.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('never gets the number of an earlier one [IC-4.5]', () => {
    const pair = SimPair.open();
    const first = pair.dialer.session('a');
    pair.run();
    first.end();
    pair.run();

    const second = pair.dialer.session('a');
    pair.run();

    expect([first.id, second.id]).toEqual([1, 3]);
  });

  it('has messages in both directions', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    pair.dialer.onMessage = (message) => void message.respond(`to dialer: ${message.text}`);
    pair.listener.onMessage = (message) => void message.respond(`to listener: ${message.text}`);

    const sends = [dialer.send('x'), listener.send('y')];
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted "to listener: x"',
      'accepted "to dialer: y"',
    ]);
  });

  it('takes a name as long as there may be', () => {
    const pair = SimPair.open();
    const name = 'ä'.repeat(512);

    pair.dialer.session(name);
    pair.run();

    expect(pair.listener.last.name).toBe(name);
  });

  it.each([
    ['an empty name', '', {}],
    ['a name that is too long', 'x'.repeat(1025), {}],
    ['half a surrogate pair', '\ud800', {}],
    ['metadata beyond what the other side takes', 'a', { metadata: [['k', 'v'.repeat(9000)]] }],
    ['data beyond a frame of the other side', 'a', { data: Buffer.alloc(65_536) }],
  ] as const)('with %s is refused to the application that opens it', (_, name, options) => {
    const pair = SimPair.open();

    expect(() => pair.dialer.session(name, options)).toThrow(/bytes|octets|surrogate/);
    pair.dialer.session('next');
    pair.run();

    expect(pair.listener.incoming.map((each) => each.name)).toEqual(['next']);
    expect(pair.dialer.status).toBe('open');
  });

  it('is refused to an application whose answer does not fit, and stays undecided', () => {
    const pair = undecided();
    pair.dialer.session('a');
    pair.run();
    const { last } = pair.listener;

    expect(() => last.accept(Buffer.alloc(65_537))).toThrow('65537');
    expect(() => last.reject(Code.SESSION_REFUSED, 'x'.repeat(1025))).toThrow('TEXT');

    expect(last.status).toBe('pending');
    expect(last.accept()).toBe(true);
  });
});

describe('A session sent into before it is accepted', () => {
  it('has its messages started in order once it is [IC-6.34]', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    const sends = ['1', '2', '3'].map((text) => session.send(text));
    pair.run();
    expect(pair.listener.last.messages).toEqual([]);

    pair.listener.onMessage = (message) => void message.respond(message.text);
    pair.listener.last.accept();
    pair.run();

    expect(pair.dialer.log.lines()).toEqual([
      'OPEN s=1 name="a"',
      'SEND s=1 id=1 1 B',
      'SEND s=1 id=2 1 B',
      'SEND s=1 id=3 1 B',
    ]);
    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted "1"',
      'accepted "2"',
      'accepted "3"',
    ]);
  });

  it('has them failed unexecuted when it is rejected, and no handler runs', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    const small = session.send('x');
    const large = session.send(Buffer.alloc(100_000));
    const oneWay = session.send('y', { oneWay: true });
    pair.run();

    pair.listener.last.reject(Code.NO_SUCH_SESSION);
    pair.run();

    expect([small.outcome, large.outcome]).toEqual([
      'failed session-rejected no',
      'failed session-rejected no',
    ]);
    expect(small.failure.code).toBe(Code.NO_SUCH_SESSION);
    expect(oneWay.outcome).toBe('sent');
    expect(pair.listener.last.messages).toEqual([]);
  });

  it('has those sent after the refusal failed too, with nothing on the wire', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    pair.run();
    pair.listener.last.reject();
    pair.run();
    pair.dialer.log.lines();

    const send = session.send('x');
    pair.run();

    expect(send.outcome).toBe('failed session-closed no');
    expect(pair.dialer.log.lines()).toEqual([]);
  });

  it('keeps what its acceptor sends until it accepts [IC-6.31]', () => {
    const pair = undecided();
    pair.dialer.session('a');
    pair.run();

    const send = pair.listener.last.send('x');
    pair.run();
    expect(pair.listener.log.lines()).toEqual([]);

    pair.dialer.onMessage = (message) => void message.accept();
    pair.listener.last.accept();
    pair.run();

    expect(send.outcome).toBe('accepted');
  });

  it('fails what its acceptor sent when it is rejected', () => {
    const pair = undecided();
    pair.dialer.session('a');
    pair.run();
    const send = pair.listener.last.send('x');

    pair.listener.last.reject();

    expect(send.outcome).toBe('failed session-closed no');
  });
});

describe('A session that nobody decides', () => {
  it('is a timeout on both sides, and its messages have not run', () => {
    const pair = undecided();
    const session = pair.dialer.session('a', { timeout: 100 });
    const send = session.send('x');
    pair.run();

    pair.advance(100);

    expect(session.status).toBe('closed session-timeout');
    expect(pair.listener.last.closed?.failure?.kind).toMatch(/timeout|session-closed/);
    expect(send.outcome).toMatch(/^failed session-timeout/);
    expect(pair.listener.last.messages).toEqual([]);
  });

  it('is told to its opener by the acceptor, whose clock started later but runs as long [IC-10.2] [IC-10.4]', () => {
    const pair = undecided();
    const session = pair.dialer.session('a', { timeout: 100 });
    pair.run();
    pair.there.blocked = true;

    pair.advance(100);

    expect(pair.listener.last.status).toBe('closed session-timeout');
    expect(pair.listener.log.linesButCredit()).toEqual([
      expect.stringContaining('END s=1 code=SESSION_TIMEOUT'),
    ]);
    expect(session.status).toBe('closed session-timeout');
  });

  it('is a timeout at an opener that hears nothing, and an end for the acceptor [IC-10.4]', () => {
    const pair = undecided();
    const session = pair.dialer.session('a', { timeout: 100 });
    const send = session.send('x');
    pair.dialer.log.lines();
    pair.there.blocked = true;
    pair.advance(100);
    expect(session.status).toBe('closed session-timeout');
    expect(send.outcome).toBe('failed session-timeout maybe');

    pair.there.blocked = false;
    pair.run();

    expect(pair.listener.last.closed?.failure).toMatchObject({ code: Code.SESSION_TIMEOUT });
  });

  it('ignores an acceptance that comes too late', () => {
    const pair = undecided();
    const session = pair.dialer.session('a', { timeout: 100 });
    pair.run();
    pair.back.blocked = true;
    pair.listener.last.accept();
    pair.advance(100);

    pair.back.blocked = false;
    pair.run();

    expect(session.opened).toBeUndefined();
    expect(session.status).toBe('closed session-timeout');
    expect(pair.listener.last.status).toBe('closed session-closed');
    expect(pair.dialer.status).toBe('open');
  });

  it('may have a name as long as any, though that does not fit into a reason', () => {
    const pair = undecided();
    const session = pair.dialer.session('n'.repeat(1024), { timeout: 100 });
    pair.run();

    pair.advance(100);

    expect(session.status).toBe('closed session-timeout');
    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('waits for ever where it has no timeout', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    pair.run();

    pair.advance(1_000_000);

    expect(session.status).toBe('opening');
  });

  it('is not held to its timeout once it is accepted', () => {
    const pair = SimPair.open();
    const session = pair.dialer.session('a', { timeout: 100 });
    pair.run();

    pair.advance(200);

    expect(session.status).toBe('open');
  });
});

describe('The credit in a session’s own frames', () => {
  const credit = { messages: 2, bytes: 70_000, items: 1 };

  it('of OPEN bounds what the acceptor sends [IC-6.19]', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a', sessionCredit: credit } });
    peer.lines();

    for (let count = 0; count < 3; count++) peer.side.last.send('x');
    peer.flush();

    expect(peer.lines()).toEqual(['SEND s=1 id=1 1 B', 'SEND s=1 id=2 1 B']);
  });

  it('of OPENED is more for the opener, and never less [IC-6.21]', () => {
    const peer = SimPeer.greeted('dialer', {}, { messages: 1 });
    const session = peer.side.session('a');
    for (let count = 0; count < 3; count++) session.send('x');
    peer.flush();
    peer.lines();

    peer.send({ type: FrameType.OPENED, session: 1, meta: { sessionCredit: credit } });

    expect(peer.lines()).toEqual(['SEND s=1 id=2 1 B']);
  });

  it.each([
    ['too few bytes', { ...credit, bytes: 65_535 }],
    ['too many bytes', { ...credit, bytes: 2 ** 30 + 1 }],
    ['too many messages', { ...credit, messages: 2 ** 30 + 1 }],
    ['too many items', { ...credit, items: 2 ** 30 + 1 }],
  ])('of OPEN with %s is refused [IC-6.19]', (_, sessionCredit) => {
    const peer = SimPeer.greeted('listener');

    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a', sessionCredit } });

    peer.expectClose(Code.META);
  });

  it.each(['messages', 'bytes', 'items'])(
    'of OPENED with more than 2^30 %s is refused [IC-6.6] [IC-6.21]',
    (unit) => {
      const peer = SimPeer.greeted('dialer');
      peer.side.session('a');
      peer.flush();

      const sessionCredit = { ...credit, [unit]: 2 ** 30 + 1 };
      peer.send({ type: FrameType.OPENED, session: 1, meta: { sessionCredit } });

      peer.expectClose(Code.META);
    },
  );
});
