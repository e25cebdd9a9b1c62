import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { connect, InterconnectError, Listener } from '../../src/endpoint/index.js';
import type { Connection, TcpAddress } from '../../src/endpoint/index.js';
import { ConnectionSlot, OpenConnection } from '../../src/nest/client/connection-slot.js';
import { deferred, failureOf, until } from './support/async.js';

let listener: Listener;
let dialled: Connection[];

beforeEach(async () => {
  dialled = [];
  listener = new Listener({ host: '127.0.0.1', port: 0 });
  listener.on('connection', (connection) =>
    connection.on('session', (session) => session.reject()),
  );
  await listener.listen();
});
afterEach(() => listener.close());

async function dial(): Promise<Connection> {
  const { port } = listener.address as TcpAddress;
  const connection = await connect({ host: '127.0.0.1', port });
  dialled.push(connection);
  return connection;
}

function observer() {
  return { onOpened: jest.fn(), onStatus: jest.fn(), onFailed: jest.fn(), onClosed: jest.fn() };
}

class FakeConnection extends EventEmitter {
  readonly status = 'open';
  async close(): Promise<void> {}
}

describe('ConnectionSlot', () => {
  it('closes a connection that is there only after close(), and keeps the later one', async () => {
    const gate = deferred();
    const told = observer();
    // The first attempt does not notice the signal in time.
    const slot = new ConnectionSlot(async () => {
      const connection = await dial();
      if (dialled.length === 1) await gate.promise;
      return connection;
    }, told);
    const overtaken = failureOf(InterconnectError, slot.connect());
    await until(() => dialled.length === 1);
    const closing = slot.close();
    const current = await slot.connect();

    gate.resolve();

    expect((await overtaken).code).toBe('IC_ERR_CLOSED');
    await closing;
    expect(dialled.map(({ status }) => status)).toEqual(['closed', 'open']);
    expect(slot.current).toBe(current);
    expect(told.onOpened).toHaveBeenCalledTimes(1);
    expect(told.onFailed).not.toHaveBeenCalled();
    await slot.close();
  });

  it('makes a new attempt after one that failed at once', async () => {
    const told = observer();
    const dialOnce = jest.fn(dial).mockImplementationOnce(() => {
      throw new Error('no socket');
    });
    const slot = new ConnectionSlot(dialOnce, told);

    await expect(slot.connect()).rejects.toThrow('no socket');
    await slot.connect();

    expect(told.onFailed).toHaveBeenCalledTimes(1);
    expect(told.onOpened).toHaveBeenCalledTimes(1);
    await slot.close();
  });

  it('lets go of a connection that was lost before it was handed over', async () => {
    const told = observer();
    const slot = new ConnectionSlot(async () => {
      const connection = await dial();
      await connection.close();
      return connection;
    }, told);

    await slot.connect();

    expect(slot.current).toBeUndefined();
    expect(told.onClosed).toHaveBeenCalledTimes(1);
  });

  it('lets go of a connection that is closing when it is handed over', async () => {
    const slot = new ConnectionSlot(async () => {
      const connection = await dial();
      void connection.close();
      return connection;
    }, observer());

    await slot.connect();

    expect(slot.current).toBeUndefined();
  });

  it('has closed everything when close() resolves: a connection, or an attempt', async () => {
    const slot = new ConnectionSlot(dial, observer());
    const { connection } = await slot.connect();
    await slot.close();
    expect(connection.status).toBe('closed');

    const attempt = failureOf(InterconnectError, slot.connect());
    await slot.close();
    expect(dialled.map(({ status }) => status)).toEqual(['closed', 'closed']);
    expect((await attempt).code).toBe('IC_ERR_CLOSED');
  });

  it('tells nothing of a connection that it has closed', async () => {
    const told = observer();
    const connection = new FakeConnection();
    const slot = new ConnectionSlot(async () => connection as unknown as Connection, told);
    await slot.connect();

    connection.emit('status', 'detached');
    await slot.close();
    connection.emit('status', 'open');

    expect(told.onStatus.mock.calls).toEqual([[connection, 'detached']]);
    expect(told.onClosed).toHaveBeenCalledTimes(1);
  });

  it('keeps one whose socket was lost before it was handed over: another will come', async () => {
    const told = observer();
    const slot = new ConnectionSlot(async () => {
      const connection = await dial();
      connection.socket.destroy();
      await until(() => connection.status === 'detached');
      return connection;
    }, told);

    const { connection } = await slot.connect();

    expect(slot.current?.connection).toBe(connection);
    expect(told.onClosed).not.toHaveBeenCalled();
    await until(() => connection.status === 'open');
    await slot.close();
  });
});

class FakeSession extends EventEmitter {
  status = 'open';
}

function openWith(sessions: readonly FakeSession[]): OpenConnection {
  const left = sessions.values();
  return new OpenConnection({ openSession: () => left.next().value } as unknown as Connection);
}

describe('OpenConnection', () => {
  it('gives the same session for a name until that is refused', async () => {
    const connection = await dial();
    const open = new OpenConnection(connection);

    const session = open.session('a');
    expect(open.session('a')).toBe(session);
    expect(open.session('b')).not.toBe(session);
    await until(() => session.status === 'closed');

    expect(open.session('a')).not.toBe(session);
    await connection.close();
  });

  it.each(['closing', 'closed'] as const)(
    'gives another instead of one that is %s, and keeps it when that has gone',
    (status) => {
      const made = [new FakeSession(), new FakeSession()];
      const [first, second] = made;
      const open = openWith(made);
      expect(open.session('a')).toBe(first);

      if (first !== undefined) first.status = status;
      expect(open.session('a')).toBe(second);
      first?.emit('close');

      expect(open.session('a')).toBe(second);
    },
  );

  it('keeps nothing of a session that has gone', () => {
    const made = [new FakeSession(), new FakeSession()];
    const open = openWith(made);
    open.session('a');

    made[0]?.emit('close');

    expect(open.session('a')).toBe(made[1]);
  });
});
