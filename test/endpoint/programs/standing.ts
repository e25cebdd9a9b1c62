/**
 * A worker thread that listens, and answers when another thread says that it stands still. So the answer lies in the
 * kernel when that thread goes on.
 */
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, Listener, type ListenerOptions } from 'nestjs-interconnect/core';

const { options, flags } = workerData as { options: ListenerOptions; flags: Int32Array };
/** Places in the memory that both threads see; as in `support/standstill.ts`. */
const STANDS = 0;
const ANSWERED = 1;
const GREETED = 2;
/** Octets of an answer to `part`. */
const PART = 8000;

/** Does it when the other thread stands still, and says so. */
async function answer(what: () => void): Promise<void> {
  while (Atomics.load(flags, STANDS) === 0) await setImmediate();
  what();
  // The answer is written at the end of the tick.
  for (let turns = 0; turns < 3; turns++) await setImmediate();
  Atomics.store(flags, ANSWERED, 1);
  Atomics.notify(flags, ANSWERED);
}

function serve(connection: Connection): void {
  connection.on('session', (session) => {
    session.on('message', (message) => {
      const isPart = message.data.toString() === 'part';
      void answer(() => message.respond(isPart ? Buffer.alloc(PART) : message.data));
    });
    if (session.name === 'late') void answer(() => session.accept());
    else session.accept();
  });
}

const listener = new Listener({
  ...options,
  authenticate: (handshake) => {
    if (handshake.data.toString() !== 'late') return handshake.accept();
    Atomics.store(flags, GREETED, 1);
    return void answer(() => handshake.accept());
  },
});
listener.on('connection', serve);
parentPort?.postMessage(await listener.listen());
