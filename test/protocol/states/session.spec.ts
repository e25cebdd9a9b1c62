/** The table of PROTOCOL.md, §7.3: a session at its acceptor, and at both sides once it is open. */
import { describe, expect, it } from '@jest/globals';
import { Code, Flag, FrameType } from '../../../src/wire/index.js';
import type { SimPeer } from '../../support/sim/sim-peer.js';
import type { SimSession } from '../../support/sim/sim-application.js';
import {
  ABORTED,
  closeAfter,
  credit,
  end,
  greeted,
  LEAST,
  OPEN,
  opened,
  OPENED,
  pending,
  receiver,
  theirs,
  unfinished,
  written,
} from './scenes.js';

const { MORE, REPLY, STREAM } = Flag;
const { SEND, FRAG, ITEM, ACCEPT, REJECT, CANCEL, CREDIT } = FrameType;
const TIME = 1000;

/** The machine has sent END(0), its application has a message whose handler runs, and the peer has not sent END. */
function ending(): SimPeer {
  const peer = receiver();
  peer.send(theirs(SEND));
  peer.side.last.end();
  peer.flush();
  expect(written(peer)).toEqual(['END s=1']);
  return peer;
}

/** The peer has ended the session, and the END(0) of the machine waits behind a message that has no credit. */
function unended(): SimPeer {
  const peer = receiver({}, { messages: 1 });
  for (const text of ['1', '2']) peer.side.last.send(text);
  peer.flush();
  peer.send(end(1));
  expect(written(peer)).toEqual(['SEND s=1 id=1 1 B']);
  return peer;
}

const texts = ({ messages }: SimSession): string[] => messages.map(({ text }) => text);

describe('Each side of a session [IC-7.3]', () => {
  it('7.3 –: OPEN', () => {
    const peer = greeted();
    peer.side.onSession = () => undefined;

    peer.send(OPEN);

    peer.expectSilence();
    expect(peer.side.incoming.map(({ name, status }) => [name, status])).toEqual([
      ['theirs', 'pending'],
    ]);
  });

  it('7.3 –: OPEN, while this side drains', () => {
    const peer = greeted();
    peer.side.connection.drain();
    peer.flush();
    peer.lines();

    peer.send(OPEN);

    expect(written(peer)).toEqual(['END s=1 code=DRAINING']);
    expect(peer.side.incoming).toEqual([]);
    peer.send(theirs(SEND));
    peer.expectSilence();
  });

  it('7.3 PENDING: SEND, FRAG, ITEM, CANCEL, CREDIT', () => {
    const peer = pending();
    const session = peer.side.last;

    peer.send(
      theirs(SEND, 1, { flags: STREAM, payload: Buffer.from('1') }),
      theirs(ITEM, 1, { flags: Flag.END, payload: Buffer.from('item') }),
      unfinished(2),
      theirs(FRAG, 2, { payload: Buffer.from('2') }),
      theirs(SEND, 3),
      credit(1, 1000),
    );
    expect([session.status, session.messages]).toEqual(['pending', []]);
    peer.expectSilence();
    peer.send(theirs(CANCEL, 3));
    expect(written(peer)).toEqual(['REJECT s=1 id=3 REPLY code=CANCELLED']);
    session.accept();
    peer.flush();

    expect(session.messages.map(({ id, data }) => [id, data.length])).toEqual([
      [1, 1],
      [2, LEAST.length + 1],
    ]);
    session.messages[0]?.read();
    expect(session.messages[0]?.texts).toEqual(['item']);
    // The credit of the session is four messages.
    const greedy = pending();
    greedy.send(...[1, 2, 3, 4].map((id) => theirs(SEND, id)));
    expect(closeAfter(greedy, theirs(SEND, 5))).toBe('FLOW');
  });

  it('7.3 PENDING: the application accepts', () => {
    const peer = pending();
    peer.send(
      ...['1', '2'].map((text, at) => theirs(SEND, at + 1, { payload: Buffer.from(text) })),
    );

    peer.side.last.accept();
    peer.flush();

    expect(written(peer)).toEqual(['OPENED s=1']);
    expect([peer.side.last.status, texts(peer.side.last)]).toEqual(['open', ['1', '2']]);
    peer.send(theirs(SEND, 3));
    expect(peer.side.last.messages).toHaveLength(3);

    const ended = pending();
    ended.send(theirs(SEND), end(1));
    ended.side.last.accept();
    ended.flush();
    expect(written(ended)).toEqual(['OPENED s=1', 'END s=1']);
    expect([ended.side.last.status, ended.side.last.messages.length]).toEqual(['ending', 1]);
    expect(closeAfter(ended, theirs(SEND, 2))).toBe('PROTOCOL');
  });

  it('7.3 PENDING: the application refuses', () => {
    const peer = pending();
    peer.send(theirs(SEND), unfinished(2));

    peer.side.last.reject(Code.SESSION_FORBIDDEN);
    peer.flush();

    expect(written(peer)).toEqual(['END s=1 code=SESSION_FORBIDDEN']);
    expect([peer.side.last.accept(), peer.side.last.messages]).toEqual([false, []]);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
    peer.send(theirs(FRAG, 2, { payload: LEAST }), theirs(SEND, 3));
    peer.expectSilence();
  });

  it('7.3 PENDING: time is over', () => {
    const peer = pending({ deadline: TIME });

    peer.advance(TIME - 1);
    expect(written(peer)).toEqual([]);
    peer.advance(1);

    expect(written(peer)).toEqual(['END s=1 code=SESSION_TIMEOUT']);
    expect([peer.side.last.accept(), peer.side.last.status]).toEqual([
      false,
      'closed session-timeout',
    ]);
  });

  it('7.3 PENDING: END(0), and no message is unsettled, now or later', () => {
    const now = pending();
    now.send(end(1));
    expect(written(now)).toEqual(['END s=1']);
    expect(now.side.last.status).toBe('closed');

    const later = pending();
    later.send(theirs(SEND, 1, { meta: { deadline: TIME } }), end(1));
    later.expectSilence();
    later.advance(TIME);
    expect(written(later)).toEqual(['REJECT s=1 id=1 REPLY code=EXPIRED', 'END s=1']);
    expect(later.side.last.status).toBe('closed');
  });

  it('7.3 PENDING: END(0), while messages are unsettled', () => {
    const peer = pending();
    peer.send(theirs(SEND));

    peer.send(end(1));

    peer.expectSilence();
    expect(peer.side.last.status).toBe('pending');
    expect(peer.side.last.accept()).toBe(true);
    expect(peer.side.last.messages).toHaveLength(1);
  });

  it('7.3 PENDING: END, code not 0', () => {
    const peer = pending();
    peer.send(theirs(SEND));

    peer.send(end(1, ABORTED));

    expect(written(peer)).toEqual(['END s=1']);
    expect([peer.side.last.accept(), peer.side.last.messages]).toEqual([false, []]);
    expect(peer.side.last.closed?.failure).toMatchObject({ code: ABORTED });
  });

  it('7.3 OPEN: the application ends', () => {
    const { peer, session } = opened({ messages: 1 });
    for (const text of ['1', '2']) session.send(text);
    peer.flush();
    peer.lines();

    session.end();
    peer.flush();
    peer.expectSilence();
    peer.send(credit(2, 2));

    expect(written(peer)).toEqual(['SEND s=2 id=2 1 B', 'END s=2']);
    expect([session.status, session.send('3').outcome]).toEqual([
      'ending',
      'failed session-closed no',
    ]);
  });

  it('7.3 OPEN: END(0)', () => {
    const peer = unended();
    const session = peer.side.last;
    expect(session.send('3').outcome).toBe('failed session-closed no');

    peer.send(credit(1, 2));

    expect(written(peer)).toEqual(['SEND s=1 id=2 1 B', 'END s=1']);
    expect(session.status).toBe('ending');
    expect(closeAfter(peer, theirs(SEND))).toBe('PROTOCOL');
  });

  it('7.3 OPEN: END, code not 0', () => {
    const peer = receiver();
    const message = peer.side.last.send('x');
    peer.flush();
    peer.lines();

    peer.send(end(1, ABORTED));

    expect(written(peer)).toEqual(['END s=1']);
    expect(peer.side.last.closed?.failure).toMatchObject({ code: ABORTED });
    expect(message.outcome).toMatch(/^failed .* maybe$/);
    peer.send(theirs(SEND));
    peer.expectSilence();
  });

  it('7.3 ENDING: SEND of a side that has not sent END', () => {
    const peer = ending();

    peer.send(theirs(SEND, 2));

    expect(peer.side.last.messages).toHaveLength(2);
    peer.side.last.last.accept();
    peer.flush();
    expect(written(peer)).toEqual(['ACCEPT s=1 id=2 REPLY']);
    expect(peer.side.last.status).toBe('ending');
  });

  it('7.3 ENDING: END, code not 0, also after END(0) of that side', () => {
    const sent = ending();
    sent.send(end(1, ABORTED));
    sent.expectSilence();
    expect(sent.side.last.closed?.failure).toMatchObject({ code: ABORTED });

    const unsent = unended();
    unsent.send(end(1, ABORTED));
    expect(written(unsent)).toEqual(['END s=1']);
    expect(unsent.side.last.closed?.failure).toMatchObject({ code: ABORTED });
  });

  it('7.3 PENDING, ENDING: a second END(0) of the other side', () => {
    const undecided = pending();
    undecided.send(theirs(SEND), end(1));
    expect(closeAfter(undecided, end(1))).toBe('PROTOCOL');

    const decided = receiver();
    decided.send(theirs(SEND), end(1));
    expect([decided.side.last.status, decided.closeCode]).toEqual(['ending', undefined]);
    expect(closeAfter(decided, end(1))).toBe('PROTOCOL');
  });

  // The machine offers its application no abort: an application of this package ends a session in order only. So the
  // peer aborts here, and the machine is the side that reads END(code).
  it('7.3 OPEN, ENDING: the application aborts', () => {
    for (const scene of [ending(), receiver()]) {
      scene.send(theirs(SEND, scene.side.last.messages.length + 1));
      scene.lines();

      scene.send(end(1, ABORTED));

      expect(scene.side.last.status).toMatch(/^closed /);
      expect(scene.side.last.messages.every(({ aborted }) => aborted === 'lost')).toBe(true);
      expect(scene.side.last.last.accept()).toBe(false);
      expect(written(scene).filter((line) => !line.startsWith('END'))).toEqual([]);
    }
  });

  it('7.3 ENDING: both END(0) are done, and no message of either direction is unsettled', () => {
    const peer = receiver();
    const { last: session } = peer.side;
    const message = session.send('x');
    peer.send(theirs(SEND), end(1));
    expect(written(peer)).toEqual(['SEND s=1 id=1 1 B', 'END s=1']);
    expect(session.status).toBe('ending');

    session.last.accept();
    peer.flush();
    expect(session.status).toBe('ending');
    peer.send(theirs(ACCEPT, 1, { flags: REPLY }));

    expect([session.status, message.outcome]).toEqual(['closed', 'accepted']);
    expect(written(peer)).toEqual(['ACCEPT s=1 id=1 REPLY']);
    peer.send(theirs(SEND, 2));
    peer.expectSilence();
  });

  it('7.3 CLOSED: any frame for this number', () => {
    const closed = (limits = {}): SimPeer => {
      const peer = receiver(limits);
      peer.send(end(1, ABORTED));
      peer.lines();
      return peer;
    };
    const peer = closed();
    peer.send(
      theirs(SEND, 7),
      theirs(FRAG, 7, { payload: LEAST }),
      theirs(ITEM, 7, { payload: LEAST }),
      theirs(CANCEL, 7),
      theirs(ACCEPT, 7, { flags: REPLY }),
      theirs(REJECT, 7, { flags: REPLY, meta: { code: Code.FAILED } }),
      { type: CREDIT, session: 1, payload: Buffer.alloc(8) },
      { ...OPENED, session: 1 },
      end(1),
      end(1, ABORTED),
    );
    peer.expectSilence();
    expect(peer.side.connection.receiveWindow.held).toBe(0);

    const bytes = 2 * 65_536;
    const full = { ...theirs(FRAG, 7, { flags: MORE }), payload: Buffer.alloc(bytes / 2) };
    const inTurn = closed({ connectionBytes: bytes });
    inTurn.send(full, full, full, full);
    expect(inTurn.closeCode).toBeUndefined();
    const atOnce = closed({ connectionBytes: bytes });
    atOnce.burst([full, full, full, full]);
    expect(atOnce.closeCode).toBe('FLOW');
  });
});
