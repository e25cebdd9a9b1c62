/** The example of the design, word for word but for the port, which is any free one, and the last line. */
import { connect, Listener } from 'nestjs-interconnect/core';

const listener = new Listener({ host: '127.0.0.1', port: 0 });
listener.on('connection', (connection) => {
  connection.on('session', (session) => {
    session.on('message', (message) => {
      console.log(message.data.toString());
      message.accept();
    });
    session.accept();
  });
});
const address = await listener.listen();
if ('path' in address) throw new Error('That was a TCP port.');

const connection = await connect({
  host: '127.0.0.1',
  port: address.port,
  data: Buffer.from('who I am'),
});
const session = await connection.createSession('myNewSession');
const response = await session.send(Buffer.from('Test message'));
console.log(response);
await connection.close();

await listener.close();
