/** The table of PROTOCOL.md, §7.2: a session at the side that opens it. */
import { describe, expect, it } from '@jest/globals';
import type { Failure } from '../../../src/protocol/index.js';
import { Code, FrameType } from '../../../src/wire/index.js';
import {
  ABORTED,
  closeAfter,
  credit,
  end,
  greeted,
  OPENED,
  opening,
  type Opened,
  written,
} from './scenes.js';

const { SEND } = FrameType;
const TIME = 1000;
const GIVEN_UP: Failure = { kind: 'offline', executed: 'maybe', message: 'No socket.' };
/** Legal in OPEN and ENDING, and not in OPENING and UNANSWERED. */
const MESSAGE = { type: SEND, session: 2, id: 1 };

/** The application has ended the session. With `waits`, a message waits for credit, and END for that message. */
function unanswered({ waits = false, timeout = Infinity } = {}): Opened {
  const scene = opening({ timeout }, { messages: 1 });
  scene.session.send('1');
  if (waits) scene.session.send('2');
  scene.session.end();
  scene.peer.flush();
  scene.peer.lines();
  return scene;
}

describe('The opener of a session [IC-7.2]', () => {
  it('7.2 –: the application opens, opens credit is there', () => {
    const peer = greeted();

    const session = peer.side.session('ours');
    session.send('x');
    peer.flush();

    expect(written(peer)).toEqual(['OPEN s=2 name="ours"', 'SEND s=2 id=1 1 B']);
    expect(session.status).toBe('opening');
    expect(closeAfter(peer, MESSAGE)).toBe('PROTOCOL');
  });

  it('7.2 –: given up before OPEN is written, or its time is over (§10.1)', () => {
    const { peer, session: first } = opening({}, { sessions: 1 });
    const late = peer.side.session('late', { timeout: TIME });
    const given = peer.side.session('given up');
    const sends = [late.send('x'), given.send('y')];
    peer.flush();

    peer.advance(TIME);
    expect([late.status, given.status]).toEqual(['closed session-timeout', 'opening']);
    peer.side.connection.giveUpUnwritten(
      ({ name }) => (name === 'given up' ? GIVEN_UP : undefined),
      () => undefined,
    );
    const next = peer.side.session('next');
    // The place of the first becomes free.
    peer.send(end(2, ABORTED), { ...credit(0, 2), id: 0 });

    expect([late, given].map(({ closed }) => closed?.failure)).toMatchObject([
      { kind: 'session-timeout', executed: 'no' },
      { kind: 'offline', executed: 'no' },
    ]);
    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'failed session-timeout no',
      'failed offline no',
    ]);
    expect(written(peer)).toEqual(['OPEN s=4 name="next"']);
    expect([first.status, next.status]).toEqual(['closed session-rejected', 'opening']);
  });

  it('7.2 OPENING: OPENED', () => {
    const { peer, session } = opening();

    peer.send(OPENED);

    peer.expectSilence();
    expect([session.status, session.opened]).toMatchObject(['open', { meta: {} }]);
    peer.send(MESSAGE);
    expect(session.messages).toHaveLength(1);
  });

  it('7.2 OPENING: END, any code', () => {
    for (const code of [Code.OK, Code.SESSION_REFUSED, ABORTED]) {
      const { peer, session } = opening();
      const message = session.send('x');
      peer.flush();
      peer.lines();

      peer.send(end(2, code));

      expect([session.status, message.outcome]).toEqual([
        'closed session-rejected',
        'failed session-rejected no',
      ]);
      peer.send(OPENED, MESSAGE);
      peer.expectSilence();
    }
  });

  it('7.2 OPENING: the application ends', () => {
    const { peer, session } = opening({}, { messages: 1 });
    session.send('1');
    session.send('2');
    peer.flush();
    peer.lines();

    session.end();
    peer.flush();
    peer.expectSilence();
    peer.send(credit(2, 2));

    expect(written(peer)).toEqual(['SEND s=2 id=2 1 B', 'END s=2']);
    expect(session.send('3').outcome).toBe('failed session-closed no');
    expect(session.status).toBe('ending');
    expect(closeAfter(peer, MESSAGE)).toBe('PROTOCOL');
  });

  it('7.2 OPENING: time is over', () => {
    const { peer, session } = opening({ timeout: TIME });

    peer.advance(TIME - 1);
    peer.expectSilence();
    peer.advance(1);

    expect(written(peer)).toEqual(['END s=2 code=SESSION_TIMEOUT']);
    expect(session.status).toBe('closed session-timeout');
    peer.send(OPENED, MESSAGE);
    peer.expectSilence();
  });

  it('7.2 UNANSWERED: OPENED', () => {
    const { peer, session } = unanswered();

    peer.send(OPENED);

    peer.expectSilence();
    expect(session.status).toBe('ending');
    peer.send(MESSAGE);
    expect(session.messages).toHaveLength(1);
  });

  it('7.2 UNANSWERED: END(0)', () => {
    const { peer, session } = opening();
    session.end();
    peer.flush();
    peer.lines();

    peer.send(end(2));

    peer.expectSilence();
    expect([session.status, session.closed?.failure]).toEqual(['closed', undefined]);
    peer.send(MESSAGE);
    peer.expectSilence();
  });

  it('7.2 UNANSWERED: END, code not 0', () => {
    for (const waits of [false, true]) {
      const { peer, session } = unanswered({ waits });

      peer.send(end(2, Code.SESSION_REFUSED));

      expect(session.closed?.failure).toMatchObject({ kind: 'session-rejected', executed: 'no' });
      peer.send(MESSAGE);
      peer.expectSilence();
    }
  });

  it('7.2 UNANSWERED: time is over, END(0) not sent', () => {
    const { peer, session } = unanswered({ waits: true, timeout: TIME });

    peer.advance(TIME);

    expect(written(peer)).toEqual(['END s=2 code=SESSION_TIMEOUT']);
    expect(session.status).toBe('closed session-timeout');
  });

  it('7.2 UNANSWERED: time is over, END(0) sent', () => {
    const { peer, session } = unanswered({ timeout: TIME });

    peer.advance(10 * TIME);

    peer.expectSilence();
    expect(session.status).toBe('ending');
    // The acceptor can still accept.
    peer.send(OPENED, MESSAGE);
    expect(session.messages).toHaveLength(1);
  });
});
