/**
 * Tells a clock whether the sockets of this thread are at rest. The clock checks this before it lets a timeout happen.
 */

/** Counts every event on sockets: a socket was opened or accepted, octets arrived, octets were written. */
export const traffic = { count: 0 };
