/** Listens at the Unix socket that it is given; then it is killed, or says so and stays. */
import { Listener } from 'nestjs-interconnect/core';

const [, , path = '', then] = process.argv;
await new Listener({ path, backlog: 1 }).listen();
if (then === 'die') process.kill(process.pid, 'SIGKILL');
process.send?.('listening');
