import { describe, expect, it, jest } from '@jest/globals';
import { isDeepStrictEqual } from 'node:util';
import { connect, type Connection, type Listener } from 'nestjs-interconnect/core';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { type Cut, CutProxy, type Direction } from '../../support/peers/cut-proxy.js';
import { next, until } from '../../support/events.js';
import { exchange, type History } from '../../support/peers/exchange.js';

const directions: readonly Direction[] = ['to listener', 'to dialer'];

/** `CUT_STEP=1` cuts at every octet where a run of all tests takes samples; that takes hours. */
const { CUT_STEP } = process.env;

function stepOf(usual: number): number {
  return CUT_STEP === undefined ? usual : Number(CUT_STEP);
}

class Rig {
  readonly proxy: CutProxy;
  /** Octets that an exchange takes in each direction when nothing is cut. */
  readonly length: Record<Direction, number> = { 'to listener': 0, 'to dialer': 0 };
  readonly #listener: Listener;
  readonly #large: number;
  #whole: History = {};

  private constructor(listener: Listener, proxy: CutProxy, large: number) {
    this.#listener = listener;
    this.proxy = proxy;
    this.#large = large;
  }

  /** `large`: bytes of the large messages. */
  static async make(large: number): Promise<Rig> {
    const listener = await listening({
      authenticate: (handshake) => handshake.accept(Buffer.from('welcome')),
    });
    const rig = new Rig(listener, await CutProxy.before(tcpAddressOf(listener)), large);
    rig.#whole = await rig.#run([]);
    return rig;
  }

  /** An exchange with cuts: it must be what it is without. */
  async cut(...cuts: Cut[]): Promise<void> {
    const history = await this.#run(cuts);
    if (isDeepStrictEqual(history, this.#whole)) return;
    const told = JSON.stringify({ cuts, history, whole: this.#whole }, undefined, 2);
    throw new Error(`Not what it is without cuts: ${told}`);
  }

  /** One exchange on a connection of its own. */
  async #run([first, ...further]: Cut[]): Promise<History> {
    const { proxy, length } = this;
    const accepted = next(this.#listener, 'connection');
    const dialer = await connect({
      ...proxy.address,
      data: Buffer.from('who I am'),
      reconnect: { minDelay: 1, maxDelay: 1 },
    });
    const [acceptor] = await accepted;
    const before = { ...proxy.passed };
    if (first !== undefined) proxy.cutAfter(...first, ...further);
    const history = await exchange(dialer, acceptor, this.#large);
    if (first === undefined) {
      for (const way of directions) length[way] = proxy.passed[way] - before[way];
    }
    // What is left of the cuts must not hit the close.
    proxy.cutAfter('to listener', Infinity);
    await settled(dialer);
    await dialer.close();
    await until(() => acceptor.status === 'closed');
    return history;
  }
}

/** Until it has a socket that works, where the last cut came after everything. */
async function settled(connection: Connection): Promise<void> {
  const isHere = await connection.ping().then(
    () => true,
    () => false,
  );
  if (isHere) return;
  await until(() => connection.status === 'open');
  await settled(connection);
}

jest.setTimeout(CUT_STEP === undefined ? 60_000 : 2 ** 31 - 1);

describe('an exchange whose wire is cut', () => {
  it.each(directions)('at any octet %s is the same to both applications', async (way) => {
    const rig = await Rig.make(10);
    const length = rig.length[way];
    expect(length).toBeGreaterThan(500);

    for (let at = 1; at <= length; at++) await rig.cut([way, at]);

    expect(rig.proxy.cuts).toBe(length);
  });

  it.each(directions)('amid large messages %s is the same to both', async (way) => {
    const rig = await Rig.make(150_000);
    const length = rig.length[way];
    expect(length).toBeGreaterThan(300_000);

    for (let at = 1; at <= length; at += stepOf(4001)) await rig.cut([way, at]);

    expect(rig.proxy.cuts).toBeGreaterThan(70);
  });

  it.each(directions)(
    'and cut again %s, also amid the resumption, is the same to both',
    async (way) => {
      const rig = await Rig.make(10);
      const length = rig.length['to listener'];

      for (let at = 20; at <= length; at += stepOf(71)) {
        for (let again = 1; again <= length; again += stepOf(23)) {
          await rig.cut(['to listener', at], [way, again]);
        }
      }

      expect(rig.proxy.cuts).toBeGreaterThan(200);
    },
  );

  it('ten times in one exchange is the same to both', async () => {
    const rig = await Rig.make(150_000);

    for (let at = 1; at <= 20_000; at += stepOf(997)) {
      const [first, ...further] = Array.from({ length: 10 }, (_, index): Cut => {
        return [index % 2 === 0 ? 'to listener' : 'to dialer', at];
      });
      if (first !== undefined) await rig.cut(first, ...further);
    }

    expect(rig.proxy.cuts).toBeGreaterThan(60);
  });
});
