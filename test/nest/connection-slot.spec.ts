import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { connect, InterconnectError, Listener } from '../../src/endpoint/index.js';
import type { Connection, TcpAddress } from '../../src/endpoint/index.js';
import { ConnectionSlot, OpenConnection } from '../../src/nest/connection-slot.js';
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
});
