/**
 * How a machine reports its moves from state to state. PROTOCOL.md chapter 7 has a table for each kind of machine, and
 * one file of this floor holds each table: it alone writes the state, and it calls the hook once for each move.
 */

/**
 * Takes one move. `what` names the machine (`socket`, `connection`, `session 5 "replicate"`, `session 5 message 17 out`),
 * `from` and `to` are state names of the machine's table, and `why` is the event.
 */
export type MoveSink = (what: string, from: string, to: string, why: string) => void;

/** The hook for moves: a part of the effects or of the context that a machine gets. */
export interface MoveEffects {
  /** Undefined if nothing watches. Check this before you build a string for it: most moves have no watcher. */
  readonly onMove?: MoveSink | undefined;
}

/** The error to throw if this side itself causes an event that the table does not list for the state. */
export function noSuchMove(what: string, state: string, event: string): Error {
  return new Error(`The ${what} is ${state}, and this event cannot happen there: ${event}.`);
}

/**
 * Whether the moves of messages are watched. Each message moves several times, and looking for the hook of a message
 * costs more than the move itself: so a message looks at this switch first. Code that sets a hook turns the switch on.
 */
export const watch = { isOn: false };
