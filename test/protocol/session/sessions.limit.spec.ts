import { describe, expect, it } from '@jest/globals';
import { Code, creditPayload, FrameType } from '../../../src/wire/index.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import { SimPair } from '../../support/sim/sim-pair.js';

/** A pair whose listener lets the dialer have so many sessions open. */
function limited(sessions: number): SimPair {
  return SimPair.open({ listener: { limits: { sessions } } });
}

describe('The limit of sessions', () => {
  it('lets the last one open, and holds back the next [IC-6.20]', () => {
    const pair = limited(2);

    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));
    pair.run();

    expect(sessions.map(({ id, status }) => [id, status])).toEqual([
      [1, 'open'],
      [3, 'open'],
      [0, 'opening'],
    ]);
  });

  it('is raised for nobody who leaves too much unacknowledged: the answers would pile up', () => {
    const peer = SimPeer.greeted('listener', { limits: { sessions: 1 } });
    const { connection } = peer.side;
    peer.side.onSession = (session) => session.reject();
    Object.defineProperty(connection.output.sent, 'isFull', { value: true, configurable: true });

    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    expect(peer.lines()).toEqual(['CREDIT received=1 opens=1 bytes=67108864']);

    Reflect.deleteProperty(connection.output.sent, 'isFull');
    connection.connectionCreditDue();
    peer.flush();
    expect(peer.lines()).toEqual([
      expect.stringContaining('END s=1'),
      'CREDIT received=1 opens=2 bytes=67108864',
    ]);
  });

  it('of one side does not bound the other', () => {
    const pair = limited(1);

    pair.listener.session('a');
    pair.listener.session('b');
    pair.run();

    expect(pair.dialer.incoming).toHaveLength(2);
  });

  it('opens what waits, in order, as others end', () => {
    const pair = limited(1);
    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));
    const send = sessions[2]!.send('x');

    for (const session of sessions) {
      pair.run();
      expect(pair.listener.last.name).toBe(session.name);
      if (session.name !== 'c') session.end();
    }

    pair.listener.last.last.accept();
    pair.run();
    expect(send.outcome).toBe('accepted');
  });

  it('counts a session until the last of its handlers has ended [IC-8.12]', () => {
    const pair = limited(1);
    const first = pair.dialer.session('a');
    first.send('x', { timeout: 100 });
    pair.run();
    const handler = pair.listener.last.last;
    const second = pair.dialer.session('b');
    first.end();

    pair.advance(100);
    expect([first.status, second.status]).toEqual(['closed', 'opening']);
    handler.accept();
    pair.run();

    expect(second.status).toBe('open');
  });

  it('is not used up by sessions that stay: the others still come and go', () => {
    const pair = limited(8);
    for (let count = 0; count < 7; count++) pair.dialer.session(`stays ${count}`);

    for (let count = 0; count < 20; count++) {
      const session = pair.dialer.session(`goes ${count}`);
      pair.run();
      expect(session.status).toBe('open');
      session.end();
    }
  });

  it('counts a refused session, and gives its place back', () => {
    const pair = limited(1);
    pair.listener.onSession = (session) => void session.reject();

    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));
    pair.run();

    expect(sessions.map(({ status }) => status)).toEqual(
      sessions.map(() => 'closed session-rejected'),
    );
  });

  it('has its session fail by its timeout while it waits, with nothing on the wire', () => {
    const pair = limited(1);
    pair.dialer.session('a');
    const waiting = pair.dialer.session('b', { timeout: 100 });
    const send = waiting.send('x');
    pair.run();
    pair.dialer.log.lines();

    pair.advance(100);

    expect(waiting.status).toBe('closed session-timeout');
    expect(send.outcome).toBe('failed session-timeout no');
    expect(pair.dialer.log.linesButCredit()).toEqual([]);
  });

  it('passes over what has given up while it waited', () => {
    const pair = limited(1);
    const first = pair.dialer.session('a');
    pair.dialer.session('b', { timeout: 100 });
    const third = pair.dialer.session('c');
    pair.advance(100);

    first.end();
    pair.run();

    expect([third.id, third.status]).toEqual([3, 'open']);
  });

  it('lets a session that was ended while it waited close at once', () => {
    const pair = limited(0);
    const session = pair.dialer.session('a');

    session.end();

    expect(session.closed).toEqual({ failure: undefined });
  });

  it('lets one that was ended with messages in it have them sent first', () => {
    const pair = limited(1);
    const first = pair.dialer.session('a');
    const waiting = pair.dialer.session('b');
    const send = waiting.send('x');
    waiting.end();
    pair.run();
    pair.listener.onMessage = (message) => void message.accept();

    first.end();
    pair.run();

    expect(send.outcome).toBe('accepted');
    expect(waiting.status).toBe('closed');
  });

  it('of 0 lets no session through', () => {
    const pair = limited(0);

    const session = pair.dialer.session('a', { timeout: 100 });
    pair.run();
    pair.advance(100);

    expect(session.status).toBe('closed session-timeout');
    expect(pair.listener.incoming).toEqual([]);
  });

  it('is raised by CREDIT, and never lowered', () => {
    const peer = SimPeer.greeted('dialer', {}, { sessions: 1 });
    for (const name of ['a', 'b', 'c']) peer.side.session(name);
    peer.flush();
    expect(peer.lines()).toEqual(['OPEN s=1 name="a"']);

    peer.send({ type: FrameType.CREDIT, id: 0, payload: creditPayload(0, 0) });
    peer.expectSilence();
    peer.send({ type: FrameType.CREDIT, id: 1, payload: creditPayload(2, 0) });

    expect(peer.lines()).toEqual(['OPEN s=3 name="b"']);
  });

  it('ends the connection of who goes beyond it (M45)', () => {
    const peer = SimPeer.greeted('listener', { limits: { sessions: 2 } });
    peer.send(
      { type: FrameType.OPEN, session: 1, meta: { name: 'a' } },
      { type: FrameType.OPEN, session: 3, meta: { name: 'b' } },
    );
    expect(peer.side.incoming).toHaveLength(2);

    peer.send({ type: FrameType.OPEN, session: 5, meta: { name: 'c' } });

    peer.expectClose(Code.FLOW);
  });

  it('may leave numbers out [IC-4.5]', () => {
    const peer = SimPeer.greeted('listener');

    peer.send({ type: FrameType.OPEN, session: 99, meta: { name: 'a' } });

    expect(peer.lines()).toEqual(['OPENED s=99']);
  });
});
