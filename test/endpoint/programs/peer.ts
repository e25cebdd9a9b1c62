/**
 * The other process. `listen [PORT]`: serves `echo`, `hang` and `die` and tells its port. `dial PORT`: calls
 * `echo`, tells the answer, serves `die`, and stays.
 */
import { connect, type Connection, Listener } from 'nestjs-interconnect/core';

function serve(connection: Connection): void {
  connection.on('session', (session) => {
    session.on('message', (message) => {
      if (session.name === 'die') process.kill(process.pid, 'SIGKILL');
      else if (session.name !== 'hang') message.respond(message.data);
    });
    session.accept();
  });
}

const [, , role, port] = process.argv;
if (role === 'listen') {
  const listener = new Listener({ host: '127.0.0.1', port: Number(port ?? 0) });
  listener.on('connection', serve);
  process.send?.(await listener.listen());
} else {
  const connection = await connect({ host: '127.0.0.1', port: Number(port) });
  serve(connection);
  const outcome = await connection.openSession('echo').send(Buffer.from(`${process.pid}`));
  process.send?.(outcome.data.toString());
}
