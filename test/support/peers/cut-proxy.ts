/** A proxy between a dialer and a listener. It cuts the sockets after a given number of octets in one direction. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterTest } from '../after-test.js';

export type Direction = 'to listener' | 'to dialer';

/** The place of a cut: after `count` octets in this direction. */
export type Cut = readonly [direction: Direction, count: number];

export class CutProxy {
  /** Octets received in each direction, those after a cut included. */
  readonly passed: Record<Direction, number> = { 'to listener': 0, 'to dialer': 0 };
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  /** The number of cuts so far. */
  cuts = 0;
  #direction: Direction = 'to listener';
  #rest = Infinity;
  #further: Cut[] = [];

  private constructor(server: Server, target: { readonly host: string; readonly port: number }) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (socket) => this.#join(socket));
  }

  static async before(target: { readonly host: string; readonly port: number }): Promise<CutProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    const proxy = new CutProxy(server, target);
    await new Promise((resolve) => server.once('listening', resolve));
    afterTest(() => server.close());
    return proxy;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Cuts after `count` further octets in that direction. `further` lists the cuts after the first one. */
  cutAfter(direction: Direction, count: number, ...further: Cut[]): void {
    this.#direction = direction;
    this.#rest = count;
    this.#further = further;
  }

  #join(dialer: Socket): void {
    const listener = connect({ ...this.#target, noDelay: true });
    this.#pipe(dialer, listener, 'to listener');
    this.#pipe(listener, dialer, 'to dialer');
  }

  #pipe(from: Socket, to: Socket, direction: Direction): void {
    from.on('error', () => to.destroy());
    from.on('close', () => to.end());
    from.on('data', (chunk: Buffer) => {
      this.passed[direction] += chunk.length;
      if (direction !== this.#direction || chunk.length < this.#rest) {
        if (direction === this.#direction) this.#rest -= chunk.length;
        to.write(chunk);
        return;
      }
      // The octets before the cut arrive, and the octets after it do not.
      to.end(chunk.subarray(0, this.#rest));
      this.cuts += 1;
      this.#rest = Infinity;
      const [next, ...further] = this.#further;
      if (next !== undefined) this.cutAfter(...next, ...further);
      from.destroy();
    });
  }
}
