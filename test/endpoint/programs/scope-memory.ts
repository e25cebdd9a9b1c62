/**
 * Opens connections within a request, in the widest sense: an `AsyncLocalStorage` scope with a store. Prints whether that
 * store is alive when the request is over and the connection goes on.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Connection, connect, Listener, MemoryNetwork } from 'nestjs-interconnect/core';
import { InterconnectClient, InterconnectServer } from 'nestjs-interconnect';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const storage = new AsyncLocalStorage<object>();

/** A request; what it returns outlives it. */
async function request<T>(
  work: () => Promise<T>,
): Promise<{ readonly store: WeakRef<object>; readonly left: T }> {
  const store = {};
  return { store: new WeakRef(store), left: await storage.run(store, work) };
}

async function isCollected(store: WeakRef<object>): Promise<boolean> {
  for (let turns = 0; turns < 10; turns++) {
    await setImmediate();
    collectGarbage();
    if (store.deref() === undefined) return true;
  }
  return false;
}

function echo(connection: Connection): void {
  connection.on('session', (session) => {
    session.on('message', (message) => message.respond(message.data));
    session.accept();
  });
}

async function tell(what: string, work: () => Promise<unknown>): Promise<unknown> {
  const { store, left } = await request(work);
  console.log(`${what}: ${(await isCollected(store)) ? 'collected' : 'alive'}`);
  return left;
}

for (const network of [undefined, new MemoryNetwork()]) {
  const kind = network === undefined ? 'TCP' : 'memory';
  const where = network === undefined ? {} : { network };
  const listener = new Listener({ ...where });
  listener.on('connection', echo);
  const address = (await tell(`listen by ${kind}`, () => listener.listen())) as { port: number };
  const target = network === undefined ? { port: address.port } : { network };
  const connection = (await tell(`connect by ${kind}`, () => connect(target))) as Connection;
  await tell(`session by ${kind}`, async () => {
    const session = connection.openSession('echo');
    await session.send(Buffer.from('x'));
    return session;
  });
  await connection.close();
  await listener.close();
}

const server = new InterconnectServer({ port: 0 });
server.addHandler('echo', async (data: Buffer) => data as never);
const port = (await tell('server', async () => {
  return new Promise((resolve, reject) => {
    void server.listen((error, address) => {
      if (error === undefined && address !== undefined && 'port' in address) resolve(address.port);
      else reject(error);
    });
  });
})) as number;
const client = new InterconnectClient({ port });
await tell('client', () => client.request('echo', Buffer.from('x')));
await tell('peer', async () => {
  const [peer] = server.peers;
  // Nobody serves there.
  await peer?.client.request('echo', Buffer.from('x')).catch(() => undefined);
});
await client.close();
await server.close();
