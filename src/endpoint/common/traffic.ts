/**
 * Whether the sockets of this thread are at rest: what a clock asks before it lets a time be over.
 */

/** Counts whatever moves: a socket that is opened or accepted, octets that arrive, octets that are written. */
export const traffic = { count: 0 };
