import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventEmitter } from 'node:events';
import {
  Code,
  createConnection,
  InterconnectError,
  Listener,
} from '../../../src/endpoint/index.js';
import type { Connection, ConnectOptions, TcpAddress } from '../../../src/endpoint/index.js';
import { ConnectionSlot, OpenConnection } from '../../../src/nest/client/connection-slot.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { failureOf, until } from '../../support/nest/async.js';

const bytes = Buffer.from('bytes');

let clock: ManualClock;
let listener: Listener;
let port: number;
let dialled: Connection[];
let delays: number[];
let told: string[];

beforeEach(async () => {
  clock = new ManualClock();
  dialled = [];
  delays = [];
  told = [];
  listener = new Listener({ host: '127.0.0.1', port: 0 });
  listener.on('connection', (connection) =>
    connection.on('session', (session) => {
      session.on('message', (message) => message.respond(message.data));
      if (session.name === 'refused') session.reject();
      else session.accept();
    }),
  );
  ({ port } = (await listener.listen()) as TcpAddress);
});
afterEach(async () => {
  await Promise.all(dialled.map((connection) => connection.close()));
  await listener.close();
});

/** A slot whose connections are real, on a clock of the test's. */
function slotOf(options: Partial<ConnectOptions> = {}, shutdownTimeout = 10_000): ConnectionSlot {
  const dial = (startDelay: number): Connection => {
    delays.push(startDelay);
    const connection = createConnection({ host: '127.0.0.1', port, clock, startDelay, ...options });
    dialled.push(connection);
    return connection;
  };
  const observer = {
    onOpened: () => void told.push('opened'),
    onDetached: (_connection: Connection, { code }: InterconnectError) =>
      void told.push(`detached ${code}`),
    onStatus: (_connection: Connection, status: string) => void told.push(status),
    onFailed: (_connection: Connection, { code }: InterconnectError) =>
      void told.push(`failed ${code}`),
    onOffline: (_connection: Connection, { code }: InterconnectError) =>
      void told.push(`offline ${code}`),
    onClosed: (error: InterconnectError | undefined, wasOpen: boolean) =>
      void told.push(`closed ${error?.code} ${wasOpen}`),
  };
  const settings = { timers: clock, minDelay: 100, shutdownTimeout: () => shutdownTimeout };
  return new ConnectionSlot(dial, observer, settings);
}

describe('ConnectionSlot', () => {
  it('makes one connection, for whoever asks first and however', async () => {
    const slot = slotOf();
    expect(slot.current).toBeUndefined();

    const open = slot.path();
    const others = await Promise.all([slot.connect(), slot.connect()]);

    expect([slot.path(), slot.current, ...others]).toEqual([open, open, open, open]);
    expect(dialled).toHaveLength(1);
    expect(told).toEqual(['opened']);
  });

  it('gives a path at once, on which calls wait', async () => {
    const slot = slotOf();

    const answer = await slot.path().session('s').send(bytes);

    expect(answer.data).toEqual(bytes);
  });

  it('tells of lost sockets, and of what comes after', async () => {
    const slot = slotOf();
    const { connection } = await slot.connect();

    connection.socket.destroy();
    await until(() => connection.status === 'detached');
    clock.advance(100);
    await until(() => connection.status === 'open');

    expect(told).toEqual(['opened', 'detached', 'detached IC_ERR_CONNECTION_LOST', 'open']);
  });

  it('gives a connect up that is offline, if nobody has sent anything', async () => {
    await listener.close();
    const slot = slotOf({ whenOffline: 'fail' });

    const failures = [slot.connect(), slot.connect()].map((each) =>
      failureOf(InterconnectError, each),
    );
    for (const failure of failures) expect((await failure).code).toBe('IC_ERR_OFFLINE');

    expect(slot.current).toBeUndefined();
    await until(() => dialled[0]?.status === 'closed');
    expect(clock.pending).toBe(0);
    expect(told).toEqual([
      'failed IC_ERR_CONNECT',
      'offline IC_ERR_OFFLINE',
      'closed undefined false',
    ]);
    await failureOf(InterconnectError, slot.connect());
    expect(delays).toEqual([0, 0]);
  });

  it('keeps trying for those who have sent something, and lets further calls fail at once', async () => {
    await listener.close();
    const slot = slotOf({ whenOffline: 'fail' });
    const call = slot.path().session('s').send(bytes);

    await failureOf(InterconnectError, slot.connect());
    await failureOf(InterconnectError, call);
    await failureOf(InterconnectError, slot.path().session('s').send(bytes));
    expect(dialled).toHaveLength(1);

    listener = new Listener({ host: '127.0.0.1', port });
    await listener.listen();
    while (dialled[0]?.status !== 'open') {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await slot.connect()).connection).toBe(dialled[0]);
  });

  it('lets go of a connection that ended before it was open, with its error', async () => {
    const slot = slotOf({ data: () => 'wrong' as never });
    const call = failureOf(InterconnectError, slot.path().session('s').send(bytes));

    const error = await failureOf(InterconnectError, slot.connect());

    expect([error.code, (await call).code]).toEqual(['IC_ERR_OPTION', 'IC_ERR_OPTION']);
    expect(slot.current).toBeUndefined();
    expect(told).toEqual(['failed IC_ERR_OPTION', 'closed IC_ERR_OPTION false']);
  });

  it('throws for an option that can be checked, and rejects', async () => {
    const slot = slotOf({ port: 0 });

    expect(() => slot.path()).toThrow('port must be');
    await expect(slot.connect()).rejects.toThrow('port must be');
    expect(slot.current).toBeUndefined();
  });

  it('lets go of a connection that is lost, and makes another one', async () => {
    const slot = slotOf({ reconnect: false });
    const { connection } = await slot.connect();

    connection.socket.destroy();
    await until(() => slot.current === undefined);

    expect(told).toEqual(['opened', 'closing', 'closed IC_ERR_CONNECTION_LOST true']);
    const connecting = slot.connect();
    clock.advance(100);
    expect((await connecting).connection).not.toBe(connection);
  });

  it('pauses ever longer, up to a second, where connections are of no use', async () => {
    clock.chance = 1;
    const slot = slotOf({ idleTimeout: 0 });
    const end = async (): Promise<void> => {
      const connecting = slot.connect();
      clock.advance(delays.at(-1) ?? 0);
      await connecting;
      for (const each of listener.connections) void each.close();
      await until(() => slot.current === undefined);
    };

    for (let round = 0; round < 7; round++) await end();
    expect(delays).toEqual([0, 100, 200, 400, 800, 1000, 1000]);

    // One that is of use, and one that lasts.
    for (const use of [
      async () => void (await slot.path().session('s').send(bytes)),
      async () => clock.advance(10_000),
    ]) {
      delays = [];
      const connecting = slot.connect();
      clock.advance(1000);
      await connecting;
      await use();
      for (const each of listener.connections) void each.close();
      await until(() => slot.current === undefined);
      await end();
      await end();
      expect(delays).toEqual([1000, 0, 100]);
      clock.advance(0);
      for (let round = 0; round < 4; round++) await end();
    }
  });

  it('lets calls fail at once with the last reason after a refusal, and dials again after the pause', async () => {
    clock.chance = 1;
    await listener.close();
    listener = new Listener({
      host: '127.0.0.1',
      port,
      authenticate: (handshake) => handshake.reject(Code.FORBIDDEN, 'not today'),
    });
    await listener.listen();
    const slot = slotOf();
    const refusal = { code: 'IC_ERR_CONNECTION_REJECTED', reason: 'not today', executed: 'no' };
    const call = async () => slot.path().session('s').send(bytes);

    for (const pause of [100, 200, 400, 800, 1000, 1000]) {
      const before = dialled.length;
      expect(await failureOf(InterconnectError, call())).toMatchObject(refusal);
      for (let count = 0; count < 50; count++) {
        expect(await failureOf(InterconnectError, call())).toMatchObject(refusal);
        await expect(slot.connect()).rejects.toMatchObject(refusal);
      }
      expect(dialled).toHaveLength(before + 1);
      clock.advance(pause - 1);
      await failureOf(InterconnectError, call());
      expect(dialled).toHaveLength(before + 1);
      clock.advance(1);
    }
    expect(delays).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('counts the pause from the end of the connection, and not from the next call', async () => {
    clock.chance = 1;
    const slot = slotOf({ idleTimeout: 0 });
    await slot.connect();
    for (const each of listener.connections) void each.close();
    await until(() => slot.current === undefined);
    clock.advance(60);

    void slot.connect().catch(() => undefined);

    expect(delays).toEqual([0, 40]);
  });

  it('gives what was sent its time when it is closed', async () => {
    const slot = slotOf();
    const answers = ['1', '2'].map((text) => slot.path().session('s').send(Buffer.from(text)));

    await slot.close();

    const texts = (await Promise.all(answers)).map(({ data }) => data.toString());
    expect(texts).toEqual(['1', '2']);
    expect(dialled[0]?.status).toBe('closed');
    expect(told).toEqual(['closed undefined false']);
  });

  it('gives it no more than that', async () => {
    await listener.close();
    const slot = slotOf({ whenOffline: 'wait' }, 700);
    const call = failureOf(InterconnectError, slot.path().session('s').send(bytes));

    const closing = slot.close();
    clock.advance(699);
    await new Promise((resolve) => setImmediate(resolve));
    expect(dialled[0]?.status).toBe('draining');
    clock.advance(1);
    await closing;

    expect(await call).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
    await until(() => clock.pending === 0);
  });

  it('gives it none if there is none to give', async () => {
    const slot = slotOf({}, 0);
    const call = failureOf(InterconnectError, slot.path().session('s').send(bytes));

    await slot.close();

    expect(await call).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
  });

  it('closes nothing twice, and resolves when all is closed', async () => {
    const slot = slotOf();
    const { connection } = await slot.connect();

    await Promise.all([slot.close(), slot.close()]);
    await slot.close();

    expect(connection.status).toBe('closed');
    expect(told).toEqual(['opened', 'closed undefined true']);
  });

  it('ends the wait of who connects when it is closed, and does not disturb the next', async () => {
    const slot = slotOf();
    const overtaken = failureOf(InterconnectError, slot.connect());

    const closing = slot.close();
    const open = await slot.connect();

    expect((await overtaken).code).toBe('IC_ERR_CLOSED');
    await closing;
    expect(slot.current).toBe(open);
    expect(dialled.map(({ status }) => status)).toEqual(['closed', 'open']);
    expect(told).toEqual(['closed undefined false', 'opened']);
  });
});

class FakeSession extends EventEmitter {
  status = 'open';

  close(): void {
    this.status = 'closing';
  }
}

class FakeConnection extends EventEmitter {
  peerMaxSessions = 1024;
  readonly openSession: () => FakeSession;

  constructor(sessions: Iterable<FakeSession>) {
    super();
    const left = sessions[Symbol.iterator]();
    this.openSession = () => left.next().value ?? new FakeSession();
  }
}

function openWith(sessions: readonly FakeSession[]): OpenConnection {
  return new OpenConnection(new FakeConnection(sessions) as unknown as Connection);
}

describe('OpenConnection', () => {
  it('ends the session that was not used for the longest time when there are too many', () => {
    const made = Array.from({ length: 4 }, () => new FakeSession());
    const connection = new FakeConnection(made);
    connection.peerMaxSessions = 3;
    const open = new OpenConnection(connection as unknown as Connection);
    for (const name of ['a', 'b', 'c']) open.session(name);
    open.session('a');

    open.session('d', true);

    expect(made.map(({ status }) => status)).toEqual(['open', 'closing', 'open', 'open']);
    expect(open.session('a')).toBe(made[0]);
    expect(open.session('b')).not.toBe(made[1]);
  });

  it('ends sessions in the order of their last use, whether of requests or of events', () => {
    const made = Array.from({ length: 5 }, () => new FakeSession());
    const connection = new FakeConnection(made);
    const open = new OpenConnection(connection as unknown as Connection);
    for (const [name, isEvent] of [
      ['a', false],
      ['a', true],
      ['b', false],
      ['b', true],
      ['c', false],
    ] as const) {
      open.session(name, isEvent);
    }
    open.session('a', true);
    open.session('a');

    const ended = [4, 3, 2, 1].map((limit) => {
      connection.peerMaxSessions = limit;
      connection.emit('renew');
      return made.findLastIndex(({ status }) => status === 'closing');
    });

    expect(ended).toEqual([2, 3, 4, 4]);
    expect(made.map(({ status }) => status)).toEqual([
      'open',
      'closing',
      'closing',
      'closing',
      'closing',
    ]);
  });

  it.each(['open', 'renew'])(
    'makes room when the other side has said how much there is: %s',
    (event) => {
      const made = Array.from({ length: 4 }, () => new FakeSession());
      const connection = new FakeConnection(made);
      const open = new OpenConnection(connection as unknown as Connection);
      for (const name of ['a', 'b', 'c', 'd']) open.session(name);

      connection.peerMaxSessions = 2;
      connection.emit(event);

      expect(made.map(({ status }) => status)).toEqual(['closing', 'closing', 'open', 'open']);
    },
  );

  it('answers more patterns than the other side allows sessions', async () => {
    await listener.close();
    listener = new Listener({ host: '127.0.0.1', port: 0, maxSessions: 3 });
    listener.on('connection', (connection) =>
      connection.on('session', (session) => {
        session.on('message', (message) => message.respond(message.data));
        session.accept();
      }),
    );
    ({ port } = (await listener.listen()) as TcpAddress);
    const open = slotOf().path();
    const names = Array.from({ length: 40 }, (_, index) => `pattern ${index % 20}`);

    const outcomes = await Promise.all(names.map((name) => open.session(name).send(bytes)));

    expect(outcomes.map(({ accepted }) => accepted)).toEqual(names.map(() => true));
  });

  it('gives the same session for a name until that is refused', async () => {
    const { connection } = await slotOf().connect();
    const open = new OpenConnection(connection);

    const session = open.session('refused');
    expect(open.session('refused')).toBe(session);
    expect(open.session('b')).not.toBe(session);
    await until(() => session.status === 'closed');

    expect(open.session('refused')).not.toBe(session);
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
