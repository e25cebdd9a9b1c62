/** The role `honest`: honest calls to a victim, and an honest server for a victim that is a client. */
import { type ConnectOptions, Listener } from 'nestjs-interconnect/core';
import { answer } from './questions.js';
import { type Manner, Steady } from './steady.js';

let steady: Steady | undefined;
let listener: Listener | undefined;

answer({
  start: async ({ options, manner }: { options: ConnectOptions; manner: Manner }) => {
    steady = await Steady.start(options, manner);
  },
  /** Serves `echo`, and answers with the port. */
  listen: async () => {
    listener = new Listener({ host: '127.0.0.1', port: 0 });
    listener.on('connection', (connection) => {
      connection.on('session', (session) => {
        session.on('message', (message) => message.respond(message.data));
        session.accept();
      });
    });
    const address = await listener.listen();
    return 'port' in address ? address.port : undefined;
  },
  begin: () => steady?.begin(),
  end: () => steady?.end(),
  stop: async () => {
    // A victim that hangs does not answer CLOSE.
    void steady?.close().catch(() => undefined);
    await listener?.close();
    steady = undefined;
    listener = undefined;
  },
});
