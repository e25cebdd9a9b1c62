import { describe, expect, it } from '@jest/globals';
import { connect, InterconnectError, type Listener } from 'nestjs-interconnect/core';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { CutProxy, type Direction } from '../../support/peers/cut-proxy.js';
import { until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

const directions: readonly Direction[] = ['to listener', 'to dialer'];

/** Everything that a dialer does here, and what becomes of it. */
interface Exchange {
  /** Of the calls, in order: `done`, or the code and whether it was executed. */
  readonly steps: string[];
  /** The messages whose handlers ran. */
  readonly ran: string[];
}

class Rig {
  readonly proxy: CutProxy;
  readonly #clock: ManualClock;
  readonly #listener: Listener;
  #ran: string[] = [];

  private constructor(clock: ManualClock, listener: Listener, proxy: CutProxy) {
    this.proxy = proxy;
    this.#clock = clock;
    this.#listener = listener;
    listener.on('connection', (connection) => {
      connection.on('session', (session) => {
        session.on('message', (message) => {
          this.#ran.push(session.name);
          message.respond(message.data);
        });
        session.accept();
      });
    });
  }

  static async make(): Promise<Rig> {
    const clock = new ManualClock();
    const listener = await listening({ clock });
    return new Rig(clock, listener, await CutProxy.before(tcpAddressOf(listener)));
  }

  /** Connects, opens two sessions and sends one message in each, of `size` bytes; then closes. */
  async exchange(size: number): Promise<Exchange> {
    this.#ran = [];
    const clock = this.#clock;
    const data = Buffer.from('who I am');
    const connection = await settled(
      connect({ ...this.proxy.address, clock, data, reconnect: false }),
    );
    const steps = [connection.step];
    if (connection.value !== undefined) {
      const first = connection.value.openSession('first');
      const [one, other] = [
        settled(first.send(Buffer.alloc(size, 1))),
        settled(
          connection.value
            .createSession('second')
            .then((session) => session.send(Buffer.alloc(size))),
        ),
      ];
      steps.push((await one).step, (await other).step);
      await connection.value.close();
      if (first.status !== 'closed') throw new Error('The session outlives its connection.');
    }
    await until(() => this.#listener.connections.size === 0 && clock.pending === 0);
    return { steps, ran: this.#ran };
  }
}

interface Step<T> {
  readonly step: string;
  readonly value?: T;
}

async function settled<T>(promise: Promise<T>): Promise<Step<T>> {
  try {
    return { step: 'done', value: await promise };
  } catch (error) {
    if (!(error instanceof InterconnectError)) throw error;
    return { step: `${error.code} ${error.executed}` };
  }
}

const STEP =
  /^(done|IC_ERR_(CONNECT|CLOSED|SESSION_CLOSED) no|IC_ERR_(CONNECTION_LOST|CLOSED) (no|maybe))$/;

/** What must hold wherever the wire is cut. */
function expectTruth({ steps, ran }: Exchange): void {
  const lies = ['first', 'second'].filter((name, index) => {
    const step = steps[index + 1] ?? '';
    return ran.includes(name) ? step.endsWith(' no') : step === 'done';
  });
  expect(lies).toEqual([]);
  expect(steps.filter((step) => !STEP.test(step))).toEqual([]);
}

describe('a wire that is cut', () => {
  it.each(directions)('at any octet %s leaves nothing pending, and nobody lied to', async (way) => {
    const rig = await Rig.make();
    const whole = await rig.exchange(10);
    expect(whole.steps).toEqual(['done', 'done', 'done']);
    const length = rig.proxy.passed[way];
    expect(length).toBeGreaterThan(150);

    for (let at = 1; at <= length; at++) {
      rig.proxy.cutAfter(way, at);
      expectTruth(await rig.exchange(10));
    }
  });

  it.each(directions)('amid large messages %s leaves nothing pending', async (way) => {
    const rig = await Rig.make();
    const whole = await rig.exchange(300_000);
    expect(whole.steps).toEqual(['done', 'done', 'done']);
    const length = rig.proxy.passed[way];

    for (let at = 500; at < length; at += 9973) {
      rig.proxy.cutAfter(way, at);
      const cut = await rig.exchange(300_000);
      expectTruth(cut);
      expect(cut.steps).not.toEqual(whole.steps);
    }
  });
});
