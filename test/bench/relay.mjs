/**
 * A relay between dialers and a listener, in a process of its own, so that the relay takes no time from the event loop of
 * either. The relay passes everything on, cuts sockets now and then, or throws every dialer out after the handshake.
 */
import { connect, createServer } from 'node:net';
import { now } from './clock.mjs';
import { usage } from './processes.mjs';

/** What answers the questions to the relay's process. */
export function relayRole() {
  /** One function for each pair of sockets that stands: it cuts both. */
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
    // The first octets of a listener are its answer to the handshake. The dialer gets them, and nothing else.
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

    /** Cuts every `interval` milliseconds, give or take a half, from a random moment of the first interval on. */
    cutEvery({ interval, seed }) {
      const random = chance(seed);
      cuts = [];
      const wait = (delay) => {
        timer = setTimeout(() => {
          // Without a socket there is nothing to cut: the dialer pauses.
          if (cutters.size > 0) cuts.push(now());
          cutAll();
          wait(interval * (0.5 + random()));
        }, delay);
      };
      wait(interval * random());
    },

    /** Ends that. Gives the moments of the cuts. */
    calm() {
      clearTimeout(timer);
      return cuts;
    },

    cutAll,

    /** Cuts all, and throws out whoever comes from now on. */
    throwOut() {
      throwsOut = true;
      cutAll();
    },

    /** Lets in whoever comes from now on. */
    letIn() {
      throwsOut = false;
    },

    usage,
  };
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
