import { describe, expect, it } from '@jest/globals';
import type { Route } from '../../../src/endpoint/api/route.js';
import { StreamingSend } from '../../../src/endpoint/api/streaming-send.js';
import { ItemSource } from '../../../src/endpoint/stream/item-source.js';
import { FeedTurns } from '../../../src/endpoint/common/feed-turns.js';
import type { Failure, OutgoingMessage, SessionMachine } from '../../../src/protocol/index.js';
import { EMPTY, Flag } from '../../../src/wire/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

const LOST: Failure = { kind: 'connection-lost', executed: 'no', message: 'The socket is gone.' };

/** A session that only keeps what is sent in it. */
function machine(name: string) {
  const sent: OutgoingMessage[] = [];
  return { name, sent, send: (message: OutgoingMessage) => void sent.push(message) };
}

/** A message with a stream, under way on the first of two connections. */
function underWay() {
  const [first, second] = [machine('first'), machine('second')];
  let current = first;
  const route: Route = {
    get machine() {
      return current as unknown as SessionMachine;
    },
    context: {
      now: () => 0,
      messageTimeout: 0,
      explained: (failure) => failure,
      refusal: () => undefined,
      turns: new FeedTurns(new ManualClock()),
      reportHandlerError: () => undefined,
    },
  };
  const send = new StreamingSend(route, EMPTY, Buffer.from('fields'), {
    source: new ItemSource([Buffer.from('item')]),
    takesItems: true,
    whenOffline: 'wait',
  });
  send.start({ deadline: 500, patience: 300, timeout: undefined }, undefined);
  const [former] = first.sent;
  return { first, second, send, former: former!, move: () => (current = second) };
}

describe('A message with a stream', () => {
  it('that moves to another connection is a new message there, with all that was said of it', () => {
    const { second, former, send, move } = underWay();
    former.onFirstFrame(true);
    former.isRevoked = true;
    former.deadline = 700;

    move();
    former.onFailure(LOST);

    const [message] = second.sent;
    expect(message).not.toBe(former);
    expect(message).toMatchObject({
      state: 'QUEUED',
      isRevoked: false,
      order: former.order,
      deadline: 700,
      patience: 300,
      takesItems: true,
      whenOffline: 'wait',
      meta: former.meta,
      flags: Flag.STREAM,
    });
    expect(send.result).toBeUndefined();
  });

  it('that has moved does not care for what the former connection acknowledges', () => {
    const { second, former, move } = underWay();

    move();
    former.onFailure(LOST);
    former.onAcknowledged();

    expect(second.sent.map(({ acknowledged }) => acknowledged)).toEqual([false]);
  });

  it('does not move once something was asked of its source', () => {
    const { second, former, send, move } = underWay();
    former.onReady();

    move();
    former.onFailure(LOST);

    expect(second.sent).toEqual([]);
    expect(send.result).toMatchObject({ error: { code: 'IC_ERR_CONNECTION_LOST' } });
  });
});
