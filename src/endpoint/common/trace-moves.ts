/**
 * The trace of states. `NODE_DEBUG=interconnect` prints a line for each move of a socket, a connection, a session, a
 * message or a stream from one state to another. The states and the events are those of PROTOCOL.md, chapter 7.
 */
import { debuglog } from 'node:util';
import { type MoveSink, watch } from '../../protocol/index.js';
import { printable } from '../../wire/index.js';

const moves = debuglog('interconnect');

/**
 * @internal Returns the sink for one socket with its handshake, or for one connection with its sessions and messages.
 * Returns undefined if the trace is off. Then nothing is computed for it.
 */
export function traceMoves(kind: 'socket' | 'connection'): MoveSink | undefined {
  if (!moves.enabled) return undefined;
  watch.isOn = true;
  counts[kind] += 1;
  const label = `${kind} ${counts[kind]}`;
  return (what, from, to, why) => {
    const name = what === kind ? label : `${label}, ${printable(what)}`;
    moves('%s: %s -> %s: %s', name, from, to, printable(why));
  };
}

const counts = { socket: 0, connection: 0 };
