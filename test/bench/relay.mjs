/**
 * A relay between dialers and a listener. It runs in a process of its own, so that it takes no time from the event
 * loops of the other two. The relay forwards all octets. On request, it cuts sockets from time to time, or ends each
 * dialer's socket after the handshake.
 */
import { connect, createServer } from 'node:net';
import { now } from './clock.mjs';
import { usage } from './processes.mjs';

/** Answers the questions to the relay's process. */
export function relayRole() {
  /** One function for each open pair of sockets. It cuts both sockets. */
  const cutters = new Set();
  let cuts = [];
  let throwsOut = false;
  let timer;

  function join(dialer, target) {
    const listener = connect({ ...target, noDelay: true, allowHalfOpen: true });
    const cut = () => {
      cutters.delete(cut);
      dialer.destroy();
      listener.destroy();
    };
    cutters.add(cut);
    for (const socket of [dialer, listener]) socket.on('error', cut).on('close', cut);
    dialer.pipe(listener);
    if (!throwsOut) return listener.pipe(dialer);
    // The first octets of a listener are its answer to the handshake. The dialer gets these octets and then the end
    // of the stream.
    listener.once('data', (welcome) => dialer.end(welcome, cut));
  }

  function cutAll() {
    for (const cut of cutters) cut();
  }

  return {
    async listen(target) {
      const server = createServer({ noDelay: true, allowHalfOpen: true }, (dialer) => {
        join(dialer, target);
      });
      await new Promise((resolve) =>
        server.listen({ host: '127.0.0.1', port: 0, backlog: 2000 }, resolve),
      );
      return server.address().port;
    },

    /**
     * Cuts all sockets about every `interval` milliseconds. The times between cuts vary by half, and the first cut is
     * at a random moment.
     */
    cutEvery({ interval, seed }) {
      const random = chance(seed);
      cuts = [];
      const wait = (delay) => {
        timer = setTimeout(() => {
          // While the dialer pauses, there is no socket to cut, and the cut does not count.
          if (cutters.size > 0) cuts.push(now());
          cutAll();
          wait(interval * (0.5 + random()));
        }, delay);
      };
      wait(interval * random());
    },

    /** Stops the cuts, and returns their times. */
    calm() {
      clearTimeout(timer);
      return cuts;
    },

    cutAll,

    /** Cuts all sockets. From now on, ends each new socket after its handshake. */
    throwOut() {
      throwsOut = true;
      cutAll();
    },

    /** Forwards all octets of new sockets again. */
    letIn() {
      throwsOut = false;
    },

    usage,
  };
}

/** Numbers from 0 to 1. The same seed gives the same numbers (mulberry32). */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
