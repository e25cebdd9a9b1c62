import { describe, expect, it } from '@jest/globals';
import { IncomingStreamState } from '../../../src/protocol/stream/incoming-stream-state.js';
import { OutgoingStreamState } from '../../../src/protocol/stream/outgoing-stream-state.js';
import type { MoveEffects } from '../../../src/protocol/common/moves.js';
import { ProtocolError } from '../../../src/wire/index.js';

const message = { sessionId: 5, id: 17 };

/** The names of the states in which an event is caused, and of those that follow; `fault` and `peer`: see `nextOf`. */
type Row<T> = [event: string, cause: (state: T) => void, next: Record<string, string>];

describe('The state of a stream that this side writes', () => {
  const reach: Record<string, (state: OutgoingStreamState) => void> = {
    HELD: () => undefined,
    FLOWING: (state) => void state.begun(),
    ENDED: (state) => void [state.begun(), state.ended()],
    STOPPED: (state) => void state.stopped(),
    OVER: (state) => void state.stopped(),
  };
  const of = (isResponse: boolean) => (name: string, effects: MoveEffects) => {
    const state = new OutgoingStreamState(message, isResponse, effects);
    reach[name]?.(state);
    return state;
  };
  const begun = (state: OutgoingStreamState): void => void state.begun();
  const ended = (state: OutgoingStreamState): void => state.ended();
  const stopped = (state: OutgoingStreamState): void => void state.stopped();

  it.each<Row<OutgoingStreamState>>([
    [
      'SEND is whole',
      begun,
      { HELD: 'FLOWING', FLOWING: 'fault', ENDED: 'fault', STOPPED: 'STOPPED' },
    ],
    ['ITEM with END', ended, { HELD: 'fault', FLOWING: 'ENDED', ENDED: 'fault', STOPPED: 'fault' }],
    [
      'settled',
      stopped,
      { HELD: 'STOPPED', FLOWING: 'STOPPED', ENDED: 'ENDED', STOPPED: 'STOPPED' },
    ],
  ])('moves in a request on %s as the document says [IC-7.6]', (_, cause, next) => {
    expect(movesOf(of(false), Object.keys(next), cause)).toEqual(next);
  });

  it.each<Row<OutgoingStreamState>>([
    ['the first item', begun, { HELD: 'FLOWING', FLOWING: 'fault', OVER: 'OVER' }],
    ['ITEM with END', ended, { HELD: 'fault', FLOWING: 'fault', OVER: 'fault' }],
    ['settled', stopped, { HELD: 'OVER', FLOWING: 'OVER', OVER: 'OVER' }],
  ])('moves in an answer on %s as the document says [IC-7.7]', (_, cause, next) => {
    expect(movesOf(of(true), Object.keys(next), cause)).toEqual(next);
  });

  it('says whether it has begun, and whether it has stopped just now', () => {
    const state = of(false)('HELD', {});

    expect([state.begun(), state.stopped(), state.stopped(), state.begun()]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('is cut if it is over without END', () => {
    const names = ['HELD', 'FLOWING', 'ENDED', 'STOPPED'];
    const states = names.map((name) => of(false)(name, {}));

    expect(states.map(({ isOver }) => isOver)).toEqual([false, false, true, true]);
    expect(states.map(({ isCut }) => isCut)).toEqual([false, false, false, true]);
  });

  it('reports each move with the names of the document', () => {
    const { moves, effects } = log();
    of(false)('ENDED', effects);
    stopped(of(true)('FLOWING', effects));

    expect(moves).toEqual([
      'session 5 message 17 out, request stream | HELD | FLOWING | SEND is whole',
      'session 5 message 17 out, request stream | FLOWING | ENDED | ITEM with END',
      'session 5 message 17 in, response stream | HELD | FLOWING | the handler streams',
      'session 5 message 17 in, response stream | FLOWING | OVER | settled, or the session ends',
    ]);
  });
});

describe('The state of a stream that this side reads', () => {
  const reach: Record<string, (state: IncomingStreamState) => void> = {
    FLOWING: () => undefined,
    LAST: (state) => state.itemBegun(true),
    ENDED: (state) => void [state.itemBegun(true), state.itemWhole()],
    DROPPED: (state) => state.dropped(),
    OVER: (state) => state.settled(),
  };
  const of = (isResponse: boolean) => (name: string, effects: MoveEffects) => {
    const state = new IncomingStreamState(message, isResponse, effects);
    reach[name]?.(state);
    return state;
  };
  const item = (state: IncomingStreamState): void => state.itemBegun(false);
  const whole = (state: IncomingStreamState): void => state.itemWhole();
  const settled = (state: IncomingStreamState): void => state.settled();
  const dropped = (state: IncomingStreamState): void => state.dropped();

  // LAST: FLOWING, and the item with END has begun.
  it.each<Row<IncomingStreamState>>([
    ['ITEM', item, { FLOWING: 'FLOWING', LAST: 'peer', ENDED: 'peer', DROPPED: 'DROPPED' }],
    [
      'a whole item',
      whole,
      { FLOWING: 'FLOWING', LAST: 'ENDED', ENDED: 'fault', DROPPED: 'DROPPED' },
    ],
    [
      'a settlement',
      settled,
      { FLOWING: 'fault', LAST: 'fault', ENDED: 'fault', DROPPED: 'fault' },
    ],
    [
      'a drop',
      dropped,
      { FLOWING: 'DROPPED', LAST: 'DROPPED', ENDED: 'DROPPED', DROPPED: 'DROPPED' },
    ],
  ])('moves in a request on %s as the document says [IC-7.6]', (_, cause, next) => {
    expect(movesOf(of(false), Object.keys(next), cause)).toEqual(next);
  });

  it.each<Row<IncomingStreamState>>([
    ['ITEM', item, { FLOWING: 'FLOWING', DROPPED: 'DROPPED', OVER: 'fault' }],
    ['a whole item', whole, { FLOWING: 'FLOWING', DROPPED: 'DROPPED', OVER: 'fault' }],
    ['a settlement', settled, { FLOWING: 'OVER', DROPPED: 'OVER', OVER: 'fault' }],
    ['a drop', dropped, { FLOWING: 'DROPPED', DROPPED: 'DROPPED', OVER: 'OVER' }],
  ])('moves in an answer on %s as the document says [IC-7.7]', (_, cause, next) => {
    expect(movesOf(of(true), Object.keys(next), cause)).toEqual(next);
  });

  it('judges in DROPPED too whether an item follows the last', () => {
    const state = of(false)('LAST', {});
    dropped(state);

    expect(nextOf(state, item)).toBe('peer');
  });

  it('keeps elements that came before a settlement until they are dropped', () => {
    const state = of(true)('OVER', {});
    expect(state.isWanted).toBe(true);
    dropped(state);

    expect([state.name, state.isWanted]).toEqual(['OVER', false]);
  });

  it('takes further items while it flows and no item with END has begun', () => {
    const taking = ['FLOWING', 'LAST', 'ENDED', 'DROPPED'].map((name) => of(false)(name, {}));

    expect(taking.map(({ takesMore }) => takesMore)).toEqual([true, false, false, false]);
    expect(taking.map(({ isFlowing }) => isFlowing)).toEqual([true, true, false, false]);
  });

  it('reports each move with the names of the document', () => {
    const { moves, effects } = log();
    of(false)('ENDED', effects);
    settled(of(true)('DROPPED', effects));

    expect(moves.map((move) => move.split(' | ').slice(0, 3).join(' | '))).toEqual([
      'session 5 message 17 in, request stream | FLOWING | ENDED',
      'session 5 message 17 out, response stream | FLOWING | DROPPED',
      'session 5 message 17 out, response stream | DROPPED | OVER',
    ]);
  });
});

function log(): { moves: string[]; effects: MoveEffects } {
  const moves: string[] = [];
  return { moves, effects: { onMove: (...move) => void moves.push(move.join(' | ')) } };
}

/** For each of the states, the one that follows. */
function movesOf<T extends { readonly name: string }>(
  reach: (name: string, effects: MoveEffects) => T,
  names: readonly string[],
  cause: (state: T) => void,
): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, nextOf(reach(name, {}), cause)]));
}

/** The name of the state after the event, or whom the event is blamed on: then the state has not moved. */
function nextOf<T extends { readonly name: string }>(state: T, cause: (state: T) => void): string {
  const before = state.name;
  try {
    cause(state);
  } catch (error) {
    if (state.name !== before) return `moved, and threw ${String(error)}`;
    if (error instanceof ProtocolError) return 'peer';
    const isOurs = String(error).includes(`stream is ${before}, and this event cannot happen`);
    return isOurs ? 'fault' : String(error);
  }
  return state.name;
}
