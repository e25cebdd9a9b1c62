import { describe, expect, it } from '@jest/globals';
import { SessionState } from '../../../src/protocol/session/session-state.js';
import { Code, ProtocolError } from '../../../src/wire/index.js';

const session = { id: 5, name: 'replicate' };

type First = 'OPENING' | 'PENDING';
type State = SessionState['name'];

const START: Record<State, { first: First; steps: (state: SessionState) => void }> = {
  OPENING: { first: 'OPENING', steps: () => undefined },
  UNANSWERED: { first: 'OPENING', steps: (state) => state.applicationEnds() },
  PENDING: { first: 'PENDING', steps: () => undefined },
  OPEN: { first: 'PENDING', steps: (state) => state.applicationAccepts() },
  ENDING: { first: 'OPENING', steps: (state) => (state.opened(), state.applicationEnds()) },
  CLOSED: { first: 'PENDING', steps: (state) => state.applicationRefuses() },
};
const STATES: State[] = ['OPENING', 'UNANSWERED', 'PENDING', 'OPEN', 'ENDING', 'CLOSED'];

const end = (code: number) => (state: SessionState) => void state.endSeen(code);

/** For each event, the state that follows each of `STATES`; `fault` = our own mistake, `peer` = a violation. */
const EVENTS: [string, (state: SessionState) => void, string][] = [
  ['OPENED', (state) => void state.opened(), 'OPEN ENDING peer peer peer fault'],
  ['accepted', (state) => state.applicationAccepts(), 'fault fault OPEN fault fault fault'],
  ['refused', (state) => state.applicationRefuses(), 'fault fault CLOSED fault fault fault'],
  ['ended', (state) => state.applicationEnds(), 'UNANSWERED fault fault ENDING fault fault'],
  ['own END(0)', (state) => state.endSent(), 'fault UNANSWERED fault fault ENDING fault'],
  ['END(0)', end(Code.OK), 'CLOSED CLOSED PENDING ENDING ENDING fault'],
  ['END(code)', end(Code.SESSION_REFUSED), 'CLOSED CLOSED CLOSED CLOSED CLOSED fault'],
  ['timeout', (state) => state.timeIsOver(), 'CLOSED CLOSED CLOSED fault fault fault'],
  ['given up', (state) => state.givenUp(), 'CLOSED CLOSED fault fault fault fault'],
  ['all settled', settled, 'OPENING UNANSWERED PENDING OPEN ENDING fault'],
  [
    'connection over',
    (state) => state.connectionEnds(),
    'CLOSED CLOSED CLOSED CLOSED CLOSED fault',
  ],
  ['SEND', (state) => state.checkOpen('SEND'), 'peer peer PENDING OPEN ENDING CLOSED'],
  ['ACCEPT', (state) => state.checkAnswered('ACCEPT'), 'peer peer PENDING OPEN ENDING CLOSED'],
];

describe('The state of a session', () => {
  it.each(EVENTS)('moves on %s as the document says [IC-7.2] [IC-7.3]', (_, cause, expected) => {
    const next = STATES.map((name) => {
      const state = stateOf(name);
      expect(state.name).toBe(name);
      return nextOf(state, cause);
    });

    expect(next.join(' ')).toBe(expected);
  });

  it('says what END means', () => {
    const meanings = (code: number): string[] =>
      STATES.slice(0, -1).map((name) => stateOf(name).endSeen(code));

    expect(meanings(Code.OK)).toEqual(['refused', 'ended', 'ending', 'ending', 'ending']);
    const byCode = ['refused', 'refused', 'aborted', 'aborted', 'aborted'];
    expect(meanings(Code.SESSION_REFUSED)).toEqual(byCode);
  });

  it.each<State>(['PENDING', 'ENDING'])('takes one END(0) of the peer in %s [IC-6.28]', (name) => {
    const state = stateOf(name);
    state.endSeen(Code.OK);

    expect(nextOf(state, end(Code.OK))).toBe('peer');
    expect(nextOf(state, (each) => each.checkOpen('SEND'))).toBe('peer');
    expect(nextOf(state, end(Code.SESSION_REFUSED))).toBe('CLOSED');
  });

  it('is ENDING at once if it is accepted after END(0)', () => {
    const state = stateOf('PENDING');
    state.endSeen(Code.OK);
    state.applicationAccepts();

    expect(state.name).toBe('ENDING');
  });

  it('closes when both sides have sent END(0), and at the acceptor when its opener has', () => {
    const pending = stateOf('PENDING');
    pending.endSeen(Code.OK);
    const ending = stateOf('ENDING');
    ending.endSent();
    expect(nextOf(ending, settled)).toBe('ENDING');
    ending.endSeen(Code.OK);

    expect([pending.allSettled(), ending.allSettled()]).toEqual([true, true]);
    expect([pending.name, ending.name]).toEqual(['CLOSED', 'CLOSED']);
  });

  it('leaves the time to the acceptor after END(0)', () => {
    const state = stateOf('UNANSWERED');
    expect(state.isTimed).toBe(true);
    state.endSent();

    expect(state.isTimed).toBe(false);
    expect(nextOf(state, (each) => each.timeIsOver())).toBe('fault');
    expect(nextOf(state, (each) => each.endSent())).toBe('fault');
  });

  it('reports each move with the names of the document', () => {
    const moves: string[] = [];
    const onMove = (...move: string[]): void => void moves.push(move.join(' | '));
    const state = new SessionState(session, 'OPENING', { onMove });

    state.applicationEnds();
    state.endSent();
    state.opened();
    state.endSeen(Code.OK);
    state.allSettled();

    expect(moves).toEqual([
      'session 5 "replicate" | OPENING | UNANSWERED | the application ends',
      'session 5 "replicate" | UNANSWERED | ENDING | OPENED',
      'session 5 "replicate" | ENDING | CLOSED | both END(0) are done, and no message is unsettled',
    ]);
  });
});

function settled(state: SessionState): void {
  state.allSettled();
}

function stateOf(name: State): SessionState {
  const { first, steps } = START[name];
  const state = new SessionState(session, first, {});
  steps(state);
  return state;
}

/** The name of the state after the event, or whom the event is blamed on: then the state has not moved. */
function nextOf(state: SessionState, cause: (state: SessionState) => void): string {
  const before = state.name;
  try {
    cause(state);
  } catch (error) {
    if (state.name !== before) return `moved, and threw ${String(error)}`;
    if (error instanceof ProtocolError) return 'peer';
    const fault = `Error: The session 5 "replicate" is ${before}, and this event cannot happen there`;
    return String(error).startsWith(fault) ? 'fault' : String(error);
  }
  return state.name;
}
