/**
 * The replica's process. The source's process starts it and waits for the port, which comes in a
 * message on the channel between the two processes. If that channel closes, the replica removes its
 * temporary files and ends. The channel also closes if the source is killed.
 */
import { NestFactory } from '@nestjs/core';
import { Code, InterconnectServer, isInterconnectError } from 'nestjs-interconnect';
import { describeSystemError, isSystemError, UserError } from '../shared/system-error.js';
import { ReplicaModule } from './replica.module.js';
import { TargetFolder } from './target-folder.js';

/** The replica's message to the process that started it. */
export type Announcement = { readonly port: number } | { readonly failure: string };

const HOST = '127.0.0.1';

/**
 * The secret that a client must show. Only the process that started this one knows it, so no other
 * user of the machine can connect.
 */
const TICKET = Buffer.from(process.env['REPLICA_TICKET'] ?? '', 'hex');

async function start(target: string, port: number): Promise<number> {
  const server = new InterconnectServer({
    host: HOST,
    port,
    authenticate: (handshake) => {
      const isOurs = TICKET.length > 0 && handshake.data.equals(TICKET);
      if (isOurs) handshake.accept();
      else handshake.reject(Code.UNAUTHENTICATED, 'This replica serves another source.');
    },
  });
  const app = await NestFactory.createMicroservice(ReplicaModule.forRoot(target), {
    strategy: server,
    logger: ['warn', 'error', 'fatal'],
  });
  const close = (): void => void app.close().then(() => process.exit());
  process.once('disconnect', close);
  process.once('SIGTERM', close);
  process.on('SIGINT', () => undefined); // Ctrl-C reaches both processes; the source ends this one

  const address: { readonly port: number } = await app.listen();
  await app.get(TargetFolder).prepare();
  return address.port;
}

function explain(error: unknown, port: number): string {
  if (error instanceof UserError) return error.message;
  const cause = isInterconnectError(error) ? error.cause : error;
  if (!isSystemError(cause)) return `The replica does not start: ${String(error)}`;
  const remedy = 'choose another port with --port, or leave --port out to get any free port.';
  if (cause.code === 'EADDRINUSE') return `Port ${port} of ${HOST} is already in use: ${remedy}`;
  return `Port ${port} of ${HOST} cannot be used (${describeSystemError(cause)}): ${remedy}`;
}

async function announce(target: string, port: number): Promise<Announcement> {
  try {
    return { port: await start(target, port) };
  } catch (error) {
    return { failure: explain(error, port) };
  }
}

const [target = '', port = '0'] = process.argv.slice(2);
process.send?.(await announce(target, Number(port)));
