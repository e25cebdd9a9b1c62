/**
 * The hook for moves: a machine reports each move from one state to another. PROTOCOL.md chapter 7 has a table of states
 * for each kind of machine. One file of this floor holds each table: only this file writes the state, and it calls the
 * hook once for each move.
 */

/**
 * Takes one move. `what` names the machine (`socket`, `connection`, `session 5 "replicate"`, `session 5 message 17 out`),
 * `from` and `to` are state names of the machine's table, and `why` is the event.
 */
export type MoveSink = (what: string, from: string, to: string, why: string) => void;

/** The hook for moves: a part of the effects or of the context that a machine gets. */
export interface MoveEffects {
  /** Undefined if there is no watcher, which is usual. Check this before you build the strings of a call. */
  readonly onMove?: MoveSink | undefined;
}

/** The error to throw if this side itself causes an event that the table does not list for the state. */
export function noSuchMove(what: string, state: string, event: string): Error {
  return new Error(`The ${what} is ${state}, and this event cannot happen there: ${event}.`);
}

/**
 * The switch for the moves of messages. Each message moves several times, and finding the hook of a message costs more
 * than the move itself. So a message looks at this switch first. Code that sets a hook must turn the switch on.
 */
export const watch = { isOn: false };
