import { describe, expect, it } from '@jest/globals';
import { connect, type Connection, type Listener, type Session } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { later, turn, until } from '../../support/events.js';
import { Random } from '../../support/random.js';

/** How often the handler of each call ran, on whichever listener. */
type Runs = Map<string, number>;

function serve(listener: Listener, runs: Runs, random: Random): void {
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on(
        'message',
        later(async (message) => {
          const call = message.data.toString('latin1', 0, 16).trim();
          runs.set(call, (runs.get(call) ?? 0) + 1);
          for (let left = random.integer(0, 5); left > 0; left--) await turn();
          message.respond(message.data);
        }),
      );
      session.accept();
    });
  });
}

/** Calls until it is told to stop, and says how often. */
async function caller(
  session: Session,
  name: string,
  random: Random,
  isOver: () => boolean,
): Promise<number> {
  let count = 0;
  while (!isOver()) {
    count += 1;
    const size = random.chance(0.05) ? 100_000 : random.integer(16, 3000);
    const call = Buffer.alloc(size, `${name}.${count}`.padEnd(16));
    const outcome = await session.send(call);
    if (!outcome.data.equals(call)) throw new Error(`Call ${count} of ${name} was not answered.`);
    if (random.chance(0.3)) await turn();
  }
  return count;
}

/** A process that listens at the same port in each of its lives. */
class Server {
  #listener: Listener;
  readonly #runs: Runs;
  readonly #random: Random;
  readonly #port: number;

  private constructor(listener: Listener, runs: Runs, random: Random) {
    this.#listener = listener;
    this.#runs = runs;
    this.#random = random;
    this.#port = tcpAddressOf(listener).port;
    serve(listener, runs, random);
  }

  static async start(runs: Runs, random: Random): Promise<Server> {
    return new Server(await listening({ maxUnsettled: 8 }), runs, random);
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }

  async restart(): Promise<void> {
    await this.#listener.drain();
    this.#listener = await listening({ port: this.#port, maxUnsettled: 8 });
    serve(this.#listener, this.#runs, this.#random);
  }
}

describe('a rolling restart of two listeners', () => {
  it('fails no call of any caller, and runs none twice', async () => {
    const seed = Number(process.env['ROLLING_SEED'] ?? Date.now() % 1_000_000);
    const random = new Random(seed);
    const runs: Runs = new Map();
    const servers = [await Server.start(runs, random), await Server.start(runs, random)];
    const connections: Connection[] = [];
    for (let index = 0; index < 4; index++) {
      const connection = await connect({
        addresses: servers.map(({ address }) => address),
        reconnect: { minDelay: 1, maxDelay: 20 },
      });
      afterTest(() => connection.close());
      connections.push(connection);
    }
    let isOver = false;
    const callers = connections.flatMap((connection, index) =>
      Array.from({ length: 12 }, (_, number) => {
        const session = connection.openSession(`session ${number % 3}`);
        return caller(session, `${index}.${number}`, random, () => isOver);
      }),
    );
    const restarts = async (): Promise<void> => {
      for (let round = 0; round < 6; round++) {
        const before = runs.size;
        await servers[round % 2]?.restart();
        await until(() => runs.size > before + 100);
      }
      isOver = true;
    };

    try {
      const [, ...counts] = await Promise.all([restarts(), ...callers]);

      expect(runs.size).toBe(counts.reduce((sum, count) => sum + count, 0));
      expect([...runs].filter(([, times]) => times !== 1)).toEqual([]);
    } catch (error) {
      throw new Error(`ROLLING_SEED=${seed}`, { cause: error });
    }
  }, 60_000);

  it('is survived by a dialer that shuts down meanwhile: what it had sent is answered', async () => {
    const runs: Runs = new Map();
    const random = new Random(7);
    const servers = [await Server.start(runs, random), await Server.start(runs, random)];
    const connection = await connect({
      addresses: servers.map(({ address }) => address),
      reconnect: { minDelay: 1, maxDelay: 20 },
    });
    afterTest(() => connection.close());
    const session = await connection.createSession('s');
    const calls = Array.from({ length: 40 }, (_, index) => session.send(Buffer.from(`${index}`)));

    await Promise.all([servers[0]?.restart(), connection.drain()]);

    const answers = (await Promise.all(calls)).map(({ data }) => data.toString());
    expect(answers).toEqual(Array.from({ length: 40 }, (_, index) => `${index}`));
    expect([...runs.values()].filter((times) => times !== 1)).toEqual([]);
  });
});
