/** The role `core`: a bare listener. */
import { type Connection, Listener, type Message } from 'nestjs-interconnect/core';
import type { Certificates } from '../support/peers/certificates.js';
import type { ServerSetting } from './program.js';
import { answer } from './questions.js';
import { counters, forget, held, listenerOptions, work, type WorkName } from './work.js';

answer({
  start: async (order: { setting: ServerSetting; certificates?: Certificates }) => {
    const listener = new Listener(listenerOptions(order.setting, order.certificates));
    listener.on('connection', serve);
    const address = await listener.listen();
    return 'port' in address ? address.port : undefined;
  },
  held,
  forget,
  counters: () => ({ ...counters(), failures: {}, words: '' }),
});

function serve(connection: Connection): void {
  connection.on('session', (session) => {
    const { name } = session;
    if (!Object.hasOwn(work, name)) return session.reject();
    session.on('message', (message) => {
      if (name === 'rows' || name === 'empties') return void message.respond(work[name]());
      void settle(name as Settled, message);
    });
    session.accept();
  });
}

type Settled = Exclude<WorkName, 'rows' | 'empties'>;

async function settle(name: Settled, message: Message): Promise<void> {
  const data = await (name === 'upload' ? work.upload(message.body) : work[name](message.data));
  if (!message.settled) message.respond(data as Buffer);
}
