/**
 * Two workers of a cluster listen at one port; the primary connects until both have answered, then has
 * one killed, is still answered by the other, and ends all.
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { connect, Listener } from 'nestjs-interconnect/core';

async function work(): Promise<void> {
  const listener = new Listener({ host: '127.0.0.1', port: 0 });
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on('message', (message) => message.respond(Buffer.from(`${process.pid}`)));
      session.accept();
    });
  });
  process.send?.(await listener.listen());
}

async function ask(port: number): Promise<string> {
  const connection = await connect({ host: '127.0.0.1', port });
  const outcome = await connection.openSession('who').send(Buffer.alloc(0));
  await connection.close();
  return outcome.data.toString();
}

if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  const addresses = await Promise.all(workers.map((worker) => once(worker, 'message')));
  const ports = addresses.map(([address]) => (address as { port: number }).port);
  const answers = new Set<string>();
  while (answers.size < 2) answers.add(await ask(ports[0] ?? 0));
  const [first, second] = workers;
  first?.process.kill('SIGKILL');
  if (first !== undefined) await once(first, 'exit');
  const left = await ask(ports[0] ?? 0);
  console.log(ports[0] === ports[1], answers.size, left === `${second?.process.pid}`);
  second?.process.kill();
} else {
  await work();
}
