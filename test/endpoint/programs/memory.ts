/** Everything in memory: the process goes on while a socket is open, and ends by itself when both sides have closed. */
import { connect, isInterconnectError, Listener, MemoryNetwork } from 'nestjs-interconnect/core';

const network = new MemoryNetwork();
const listener = new Listener({ network });
listener.on('connection', (connection) => {
  connection.on('session', (session) => {
    session.on('message', (message) => {
      if (session.name === 'echo') message.respond(message.data);
    });
    session.accept();
  });
});
await listener.listen();
const connection = await connect({ network });
const echo = await connection.createSession('echo');
const { data } = await echo.send(Buffer.from('answered'));
console.log(data.toString());
// Nothing but the open sockets keeps the process until the time is over.
const silent = await connection.createSession('silent');
const error: unknown = await silent
  .send(Buffer.alloc(0), { timeout: 50 })
  .catch((reason) => reason);
console.log(isInterconnectError(error) && error.code);
await connection.close();
await listener.close();
console.log('closed');
