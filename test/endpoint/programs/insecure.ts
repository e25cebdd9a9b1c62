/** Dials a listener whose authority is unknown, once for each set of options, and prints the outcomes. */
import { connect, isInterconnectError, Listener } from 'nestjs-interconnect/core';
import { certificates } from '../../support/peers/certificates.js';

const { server } = await certificates();
const listener = new Listener({ host: '127.0.0.1', tls: server });
const address = await listener.listen();
if ('path' in address) throw new Error('That was a TCP port.');
for (const tls of [
  true,
  {},
  { rejectUnauthorized: undefined },
  { rejectUnauthorized: false },
] as const) {
  const where = { host: '127.0.0.1', port: address.port };
  try {
    const connection = await connect({ ...where, tls, reconnect: false });
    console.log('open');
    await connection.close();
  } catch (error) {
    if (!isInterconnectError(error)) throw error;
    console.log(error.message.includes('rejectUnauthorized') ? 'explained' : error.message);
  }
}
await listener.close();
