/** A handler fails, and nobody listens for it; then another does, and the process ends by itself. */
import { connect, Listener } from 'nestjs-interconnect/core';

const listener = new Listener({ host: '127.0.0.1' });
listener.on('connection', (connection) => {
  connection.on('session', (session) => {
    session.on('message', (message): unknown =>
      Promise.reject(new Error(`broken by ${message.data.toString()}`)),
    );
    session.accept();
    return Promise.reject(new Error('broken session')) as unknown;
  });
  throw new Error('broken connection');
});
const address = await listener.listen();
if ('path' in address) throw new Error('That was a TCP port.');
const connection = await connect({ host: '127.0.0.1', port: address.port });
const session = await connection.createSession('x');
const outcome = await session.send(Buffer.from('bytes'));
console.log(outcome.accepted);
await listener.close();
