import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import {
  connect,
  type Connection,
  createConnection,
  Listener,
  type ListenerOptions,
  MemoryNetwork,
  type Message,
  type Session,
} from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { certificates } from '../../support/peers/certificates.js';
import { addressOf, connected, echo, inSession, listening } from '../../support/peers/connected.js';
import { next, until } from '../../support/events.js';
import { run } from '../../support/peers/program.js';

const scope = new AsyncLocalStorage<string>();

/** Of each item, the scope in which it was asked for. */
async function* source(seen: (string | undefined)[]): AsyncGenerator<Buffer> {
  for (let item = 0; item < 3; item++) {
    seen.push(scope.getStore());
    yield Buffer.from('x');
  }
}

async function readAll(message: Message): Promise<void> {
  for await (const _item of message.body);
  message.accept();
}

describe('the source of a stream', () => {
  it('runs in the scope of the send that it was given to, though another freed its way', async () => {
    const { session, accepted } = await inSession({ maxUnsettled: 1 });
    accepted.on('message', (message) => void readAll(message));
    const seen: Record<string, (string | undefined)[]> = { a: [], b: [] };
    const send = (name: string) => scope.run(name, () => session.send(source(seen[name]!)));

    await Promise.all(['a', 'b'].map(send));

    expect(seen).toEqual({ a: ['a', 'a', 'a'], b: ['b', 'b', 'b'] });
  });
});

describe('onItem', () => {
  it.each([
    ['bytes', () => Buffer.from('x')],
    ['a stream', () => [Buffer.from('x')]],
  ])('runs in the scope of its send, and not in that of the socket: %s', async (_, request) => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => void message.respond(source([])));
    const seen: (string | undefined)[] = [];
    const onItem = () => void seen.push(scope.getStore());
    const send = (name: string) => scope.run(name, () => session.send(request(), { onItem }));

    await send('a');
    await send('b');

    expect(seen).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
  });
});

/** Each event, and the scope in which its listener ran. */
type Seen = Record<string, string | undefined>;

function watchConnection(connection: Connection, seen: Seen): void {
  const events = ['open', 'status', 'detach', 'resume', 'renew', 'close'] as const;
  for (const event of events) connection.on(event, () => (seen[event] = scope.getStore()));
  connection.on('session', (session) => {
    seen['session'] = scope.getStore();
    watchSession(session, seen);
    session.accept();
  });
}

function watchSession(session: Session, seen: Seen): void {
  session.on('message', (message) => {
    seen['message'] = scope.getStore();
    if (message.data.length > 0) message.accept();
  });
  session.on('timeout', () => (seen['timeout'] = scope.getStore()));
  session.on('close', () => (seen['session close'] = scope.getStore()));
}

const kinds: Record<string, () => Promise<{ listen: ListenerOptions; dial: object }>> = {
  TCP: async () => ({ listen: {}, dial: {} }),
  TLS: async () => {
    const { ca, server } = await certificates();
    return { listen: { tls: server }, dial: { tls: { ca } } };
  },
  memory: async () => {
    const network = new MemoryNetwork();
    return { listen: { network }, dial: { network } };
  },
};

describe.each(Object.keys(kinds))('a connection by %s', (kind) => {
  it.each([
    ['connect', connect],
    [
      'createConnection',
      async (...options: Parameters<typeof connect>) => createConnection(...options),
    ],
  ])('belongs to nobody, whoever opened it: %s', async (_, open) => {
    const { listen, dial } = (await kinds[kind]?.()) ?? { listen: {}, dial: {} };
    const listener = await listening(listen);
    const where = kind === 'memory' ? {} : addressOf(listener);
    const accepted = next(listener, 'connection');
    const seen: Seen = {};
    const connection = await scope.run('alice', () => open({ ...where, ...dial }));
    afterTest(() => connection.close());
    watchConnection(connection, seen);
    const [acceptor] = await accepted;

    await scope.run('bob', async () => {
      const session = await acceptor.createSession('test');
      await session.send(Buffer.from('x'));
      await session.send(Buffer.alloc(0), { timeout: 1 }).catch(() => undefined);
      await until(() => 'timeout' in seen);
      await session.close();
    });
    await until(() => 'session close' in seen);
    acceptor.socket.destroy();
    await until(() => 'resume' in seen);
    await scope.run('carol', () => connection.close());

    expect(Object.keys(seen)).toEqual(
      expect.arrayContaining(['message', 'timeout', 'detach', 'close']),
    );
    expect(Object.values(seen).filter((who) => who !== undefined)).toEqual([]);
  });

  it('belongs at a listener to the scope in which that was made, whoever had it listen', async () => {
    const { listen, dial } = (await kinds[kind]?.()) ?? { listen: {}, dial: {} };
    const seen: Seen = {};
    const options: ListenerOptions = {
      ...(kind === 'memory' ? {} : { host: '127.0.0.1' }),
      ...listen,
      authenticate: (handshake) => {
        seen['authenticate'] = scope.getStore();
        handshake.accept();
      },
    };
    const listener = scope.run('maker', () => new Listener(options));
    afterTest(() => listener.close());
    listener.on('listening', () => (seen['listening'] = scope.getStore()));
    listener.on('connection', (connection) => {
      seen['connection'] = scope.getStore();
      watchConnection(connection, seen);
    });
    await scope.run('alice', () => listener.listen());

    const where = kind === 'memory' ? {} : addressOf(listener);
    const connection = await scope.run('bob', () => connect({ ...where, ...dial }));
    await scope.run('carol', async () => {
      const session = await connection.createSession('test');
      await session.send(Buffer.from('x'));
      await session.close();
    });
    await scope.run('dave', () => listener.close());

    expect(Object.keys(seen)).toEqual(
      expect.arrayContaining(['authenticate', 'listening', 'connection', 'message', 'close']),
    );
    expect(Object.values(seen).filter((who) => who !== 'maker')).toEqual([]);
  });

  it('leaves the caller his scope', async () => {
    const { listen, dial } = (await kinds[kind]?.()) ?? { listen: {}, dial: {} };
    const listener = await listening(listen);
    listener.on('connection', echo);
    const where = kind === 'memory' ? {} : addressOf(listener);

    const seen = await scope.run('alice', async () => {
      const connection = await connect({ ...where, ...dial });
      const afterConnect = scope.getStore();
      const session = await connection.createSession('echo');
      await session.send(Buffer.from('x'));
      const afterSend = scope.getStore();
      await connection.close();
      return [afterConnect, afterSend, scope.getStore()];
    });

    expect(seen).toEqual(['alice', 'alice', 'alice']);
  });
});

describe('what a caller of the moment sets going', () => {
  it('runs outside of his scope: messages that waited for the session to be accepted', async () => {
    const { acceptor, dialer } = await connected();
    const opened = next(acceptor, 'session');
    acceptor.on('session', () => undefined);
    const outcome = dialer.openSession('test').send(Buffer.from('x'));
    const [session] = await opened;
    const seen: Seen = {};
    watchSession(session, seen);
    await dialer.ping();

    scope.run('alice', () => session.accept());
    await outcome;

    expect(seen).toEqual({ message: undefined });
  });

  it('runs outside of his scope: the function that gives the data of the next attempt', async () => {
    const listener = await listening();
    const seen: (string | undefined)[] = [];
    const data = () => {
      seen.push(scope.getStore());
      return Buffer.from('token');
    };
    const connection = await scope.run('alice', () => connect({ ...addressOf(listener), data }));
    afterTest(() => connection.close());
    const resumed = next(connection, 'resume');

    connection.socket.destroy();
    await resumed;

    expect(seen).toEqual([undefined, undefined]);
  });

  it('is not kept alive by what lives on', async () => {
    const { code, stdout } = await run(new URL('../programs/scope-memory.ts', import.meta.url));

    expect(code).toBe(0);
    expect(
      stdout
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith(': collected')),
    ).toEqual([]);
  });
});
