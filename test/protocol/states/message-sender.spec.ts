/** The table of PROTOCOL.md, §7.5: a message at the side that sends it. */
import { describe, expect, it } from '@jest/globals';
import { Code, Flag, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import type { SimPeer } from '../../support/sim/sim-peer.js';
import type { SendOptions } from '../../support/sim/sim-application.js';
import {
  ABORTED,
  answer,
  closeAfter,
  credit,
  end,
  LARGE,
  opened,
  opening,
  sending,
  type Sent,
  spendFloodBudget,
  written,
} from './scenes.js';

const { STREAM } = Flag;
const { ITEM, ACCEPT, REJECT, GOAWAY } = FrameType;
const TIME = 1000;
const TIMED = { timeout: TIME };
const ELEMENT = answer(ITEM, { payload: Buffer.from('a') });
const ACCEPTED = answer(ACCEPT, { payload: Buffer.from('yes') });
const REJECTED = answer(REJECT);
let octets = 2 ** 20;

/** Credit for all that waits, each time for more than before. */
function room(): FrameInit {
  octets += 1;
  return credit(2, 0, octets);
}

/** A message in QUEUED: the one before it has used the credit. */
function queued(options: SendOptions = {}): Sent {
  const { peer, session } = opened({ messages: 1 });
  session.send('1');
  const message = session.send('2', options);
  peer.flush();
  expect(written(peer)).toEqual(['SEND s=2 id=1 1 B']);
  return { peer, session, message };
}

/** A message in SENDING: the rest of its octets waits for credit. */
const unfinished = (options: SendOptions = {}): Sent => sending(LARGE, options);
/** A message in SENT. */
const sent = (options: SendOptions = {}): Sent => sending('x', options);

/** A message in WITHDRAWN, for which no CANCEL was sent. */
function expired(): Sent {
  const scene = sent(TIMED);
  scene.peer.advance(TIME);
  expect([written(scene.peer), scene.message.outcome]).toEqual([[], 'failed timeout maybe']);
  return scene;
}

/** What becomes of a message upon `then`: what the peer reads, and what its sender is told. */
function outcomeOf(scene: Sent, then: (scene: Sent) => void): [string, string[]] {
  then(scene);
  scene.peer.flush();
  return [scene.message.outcome, written(scene.peer)];
}

/** The message is WITHDRAWN: its settlement costs no flood budget, and the application is told nothing more. */
function expectWithdrawn({ peer, message }: Sent): void {
  const { outcome } = message;
  spendFloodBudget(peer);
  peer.send(REJECTED);
  expect([peer.closeCode, message.outcome]).toEqual([undefined, outcome]);
  expectDone(peer);
}

/** The message is DONE: a settlement costs the flood budget, and no octet of the message leaves. */
function expectDone(peer: SimPeer): void {
  peer.send(room());
  expect(written(peer)).toEqual([]);
  spendFloodBudget(peer);
  expect(closeAfter(peer, REJECTED)).toBe('CALM');
}

const cancel = ({ message }: Sent): void => message.cancel();
const wait = ({ peer }: Sent): void => peer.advance(TIME);
const abort = ({ peer }: Sent): void => peer.send(end(2, ABORTED));
const lose = ({ peer }: Sent): void => peer.side.lose();

describe('The sender of a message [IC-7.5]', () => {
  it('7.5 QUEUED: credit, and no unfinished message before it', () => {
    const { peer } = queued();
    peer.send(credit(2, 2));
    expect(written(peer)).toEqual(['SEND s=2 id=2 1 B']);

    const large = unfinished();
    large.session.send('behind');
    large.peer.flush();
    expect(written(large.peer)).toEqual([]);
    large.peer.send(room());
    expect(written(large.peer).slice(-2)).toEqual([
      expect.stringMatching(/^FRAG s=2 id=1 \d+ B$/),
      'SEND s=2 id=2 6 B',
    ]);
  });

  it('7.5 QUEUED: cancelled, deadline, GOAWAY is read, session or connection ends', () => {
    const outcomes = [
      outcomeOf(queued(), cancel),
      outcomeOf(queued(TIMED), wait),
      outcomeOf(queued(), ({ peer }) => peer.send({ type: GOAWAY })),
      outcomeOf(queued(), abort),
      outcomeOf(queued(), lose),
    ];

    expect(outcomes).toEqual([
      ['failed cancelled no', []],
      ['failed timeout no', []],
      ['failed draining no', []],
      ['failed session-closed no', ['END s=2']],
      ['failed connection-lost no', []],
    ]);
    const { peer, message } = queued();
    message.cancel();
    peer.send(credit(2, 2));
    peer.expectSilence();
  });

  it('7.5 SENDING: last FRAG', () => {
    const scene = unfinished();

    scene.peer.send(room());

    expect(written(scene.peer).at(-1)).toMatch(/^FRAG s=2 id=1 \d+ B$/);
    expect(outcomeOf(scene, cancel)).toEqual(['failed cancelled maybe', ['CANCEL s=2 id=1']]);
  });

  it('7.5 SENDING: ACCEPT or REJECT', () => {
    const accepted = unfinished();
    expect(outcomeOf(accepted, ({ peer }) => peer.send(ACCEPTED))).toEqual(['accepted "yes"', []]);
    expectDone(accepted.peer);

    const rejected = unfinished();
    expect(outcomeOf(rejected, ({ peer }) => peer.send(REJECTED))).toEqual(['rejected FAILED', []]);
    expectDone(rejected.peer);
  });

  it('7.5 SENDING: ITEM with REPLY', () => {
    const scene = unfinished();

    scene.peer.send(ELEMENT);

    expect([scene.message.texts, scene.message.outcome]).toEqual([['a'], 'pending']);
    expect(outcomeOf(scene, cancel)).toEqual(['failed cancelled maybe', ['CANCEL s=2 id=1']]);
    const going = unfinished();
    going.peer.send(ELEMENT, room());
    expect(written(going.peer).at(-1)).toMatch(/^FRAG s=2 id=1 \d+ B$/);
  });

  it('7.5 SENDING: cancelled, deadline', () => {
    const scenes = [unfinished(), unfinished(TIMED)] as const;
    expect(outcomeOf(scenes[0], cancel)).toEqual(['failed cancelled no', ['CANCEL s=2 id=1']]);
    expect(outcomeOf(scenes[1], wait)).toEqual(['failed timeout no', ['CANCEL s=2 id=1']]);
    for (const scene of scenes) {
      scene.peer.send(room());
      scene.peer.expectSilence();
      expectWithdrawn(scene);
    }

    const answered = unfinished();
    answered.peer.send(ELEMENT);
    expect(outcomeOf(answered, cancel)).toEqual(['failed cancelled maybe', ['CANCEL s=2 id=1']]);
  });

  it('7.5 SENDING: session or connection ends', () => {
    const answered = unfinished();
    answered.peer.send(ELEMENT);

    expect([
      outcomeOf(unfinished(), abort),
      outcomeOf(unfinished(), lose),
      outcomeOf(answered, abort),
    ]).toEqual([
      ['failed session-closed no', ['END s=2']],
      ['failed connection-lost no', []],
      ['failed session-closed maybe', ['END s=2']],
    ]);
  });

  it('7.5 SENT: ACCEPT or REJECT', () => {
    const accepted = sent();
    expect(outcomeOf(accepted, ({ peer }) => peer.send(ACCEPTED))).toEqual(['accepted "yes"', []]);
    expectDone(accepted.peer);

    const rejected = sent();
    expect(outcomeOf(rejected, ({ peer }) => peer.send(REJECTED))).toEqual(['rejected FAILED', []]);
    expectDone(rejected.peer);
  });

  it('7.5 SENT: ITEM with REPLY', () => {
    const scene = sent();

    scene.peer.send(ELEMENT, ELEMENT);

    expect([scene.message.texts, scene.message.outcome]).toEqual([['a', 'a'], 'pending']);
    const settle = ({ peer }: Sent): void => peer.send(answer(ACCEPT, { flags: STREAM }));
    expect(outcomeOf(scene, settle)).toEqual(['accepted', []]);
  });

  it('7.5 SENT: cancelled, or its patience is over (§10.3)', () => {
    const cancelled = sent();
    expect(outcomeOf(cancelled, cancel)).toEqual(['failed cancelled maybe', ['CANCEL s=2 id=1']]);
    expectWithdrawn(cancelled);

    const patient = sent({ items: [], end: false, patience: TIME });
    expect(outcomeOf(patient, wait)).toEqual(['failed timeout maybe', ['CANCEL s=2 id=1']]);
    expectWithdrawn(patient);
  });

  it('7.5 SENT: deadline, and an ITEM of the answer has come', () => {
    const scene = sent(TIMED);
    scene.peer.send(ELEMENT);

    expect(outcomeOf(scene, wait)).toEqual(['failed timeout maybe', ['CANCEL s=2 id=1']]);

    expectWithdrawn(scene);
  });

  it('7.5 SENT: deadline', () => {
    const scene = sent(TIMED);
    scene.peer.advance(TIME - 1);
    expect(scene.message.outcome).toBe('pending');

    expect(outcomeOf(scene, ({ peer }) => peer.advance(1))).toEqual(['failed timeout maybe', []]);

    expectWithdrawn(scene);
    // The row allows CANCEL for a request stream that has not ended. This implementation writes nothing.
    const stream = sent({ ...TIMED, items: [], end: false });
    expect(outcomeOf(stream, wait)).toEqual(['failed timeout maybe', []]);
    expectWithdrawn(stream);
  });

  it('7.5 SENT: session or connection ends', () => {
    const { peer, session } = opening();
    const message = session.send('x');
    peer.flush();
    peer.lines();
    const refuse = (): void => peer.send(end(2, Code.SESSION_REFUSED));

    expect([
      outcomeOf(sent(), abort),
      outcomeOf(sent(), lose),
      outcomeOf({ peer, session, message }, refuse),
    ]).toEqual([
      ['failed session-closed maybe', ['END s=2']],
      ['failed connection-lost maybe', []],
      ['failed session-rejected no', []],
    ]);
  });

  it('7.5 WITHDRAWN: ITEM with REPLY, and no CANCEL was sent', () => {
    const scene = expired();

    scene.peer.send(ELEMENT);
    expect(written(scene.peer)).toEqual(['CANCEL s=2 id=1']);
    scene.peer.send(ELEMENT);

    expect([written(scene.peer), scene.message.texts]).toEqual([[], []]);
    scene.peer.send(answer(ACCEPT, { flags: STREAM }));
    expect(scene.peer.closeCode).toBeUndefined();
    expectDone(scene.peer);
  });

  it('7.5 WITHDRAWN: ACCEPT or REJECT', () => {
    for (const settlement of [ACCEPTED, REJECTED]) {
      const { peer, message } = expired();

      peer.send(settlement);

      expect([written(peer), message.outcome]).toEqual([[], 'failed timeout maybe']);
      expectDone(peer);
    }
  });
});
