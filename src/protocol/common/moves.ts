/**
 * How a machine reports its moves from state to state. PROTOCOL.md chapter 7 has a table for each kind of machine, and
 * one file of this floor holds each table: it alone writes the state, and it calls the hook once for each move.
 */

/**
 * Takes one move. `what` names the machine (`socket`, `connection`, `session 5 "replicate"`, `session 5 message 17 out`),
 * `from` and `to` are state names of the machine's table, and `why` is the event.
 */
export type MoveSink = (what: string, from: string, to: string, why: string) => void;

/** The hook, as a part of the effects or of the context that a machine is given. */
export interface MoveEffects {
  /** Undefined while nobody watches. Check that before you build a string for it: most moves have no watcher. */
  readonly onMove?: MoveSink | undefined;
}

/** The error to throw if this side itself causes an event that the table does not list for the state. */
export function noSuchMove(what: string, state: string, event: string): Error {
  return new Error(`The ${what} is ${state}, and this event cannot happen there: ${event}.`);
}

/**
 * Whether anybody watches the moves of messages. Messages move several times each, and looking for the hook of a message
 * costs more than the move itself: so they look at this switch first. Whoever gives a hook turns it on.
 */
export const watch = { isOn: false };
