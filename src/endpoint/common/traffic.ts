/**
 * The traffic count: tells the clock whether the sockets of this thread are at rest. The clock looks at the count before
 * it calls back for a timeout.
 */

/** Counts the events on sockets: a socket was opened or accepted, octets arrived, or octets were written. */
export const traffic = { count: 0 };
