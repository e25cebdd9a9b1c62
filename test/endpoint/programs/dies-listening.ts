/** Listens at the Unix socket that it is given, and is killed. */
import { Listener } from 'nestjs-interconnect/core';

const [, , path = ''] = process.argv;
await new Listener({ path }).listen();
process.kill(process.pid, 'SIGKILL');
