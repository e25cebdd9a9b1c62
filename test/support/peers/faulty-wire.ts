/** A proxy between dialers and a listener that imitates network faults: silence, or the loss of one end. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterTest } from '../after-test.js';
import { until } from '../events.js';

/** One socket of a dialer, and the socket to the listener that belongs to it. */
export class Strand {
  readonly #dialer: Socket;
  readonly #listener: Socket;
  #isSilent = false;
  readonly #kept: { readonly to: Socket; readonly bytes: Buffer }[] = [];

  constructor(dialer: Socket, listener: Socket) {
    this.#dialer = dialer;
    this.#listener = listener;
    this.#pipe(dialer, listener);
    this.#pipe(listener, dialer);
  }

  /** Stops all traffic in both directions. Neither end is told. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Octets for the listener that the strand has kept since it became silent. */
  get kept(): number {
    const bytes = this.#kept.filter(({ to }) => to === this.#listener);
    return bytes.reduce((sum, { bytes: { length } }) => sum + length, 0);
  }

  /** Delivers the octets that the strand has kept. */
  release(): void {
    for (const { to, bytes } of this.#kept.splice(0)) if (to.writable) to.write(bytes);
  }

  /** Resets the dialer's end. The listener is not told. */
  loseDialer(): void {
    this.silence();
    this.#dialer.resetAndDestroy();
  }

  /** Whether the dialer has closed or destroyed its socket. */
  get isOver(): boolean {
    return this.#dialer.destroyed || this.#dialer.readableEnded;
  }

  destroy(): void {
    this.#dialer.destroy();
    this.#listener.destroy();
  }

  #pipe(from: Socket, to: Socket): void {
    from.on('error', () => undefined);
    from.on('data', (bytes: Buffer) => {
      if (this.#isSilent) this.#kept.push({ to, bytes });
      else to.write(bytes);
    });
    const end = (): void => {
      if (!this.#isSilent) to.end();
    };
    from.on('end', end);
    from.on('close', end);
  }
}

export class FaultyWire {
  readonly strands: Strand[] = [];
  /** While this is set, new dialers reach no listener: their sockets are open and stay silent. */
  isDead = false;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async before(target: {
    readonly host: string;
    readonly port: number;
  }): Promise<FaultyWire> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
    const wire = new FaultyWire(server);
    server.on('connection', (dialer) => {
      const strand = new Strand(dialer, connect({ ...target, noDelay: true, allowHalfOpen: true }));
      if (wire.isDead) strand.silence();
      wire.strands.push(strand);
    });
    await new Promise((resolve) => server.once('listening', resolve));
    afterTest(() => {
      for (const strand of wire.strands) strand.destroy();
      server.close();
    });
    return wire;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Waits for the `index`-th socket that a dialer opens. */
  async strand(index: number): Promise<Strand> {
    await until(() => this.strands.length > index);
    const strand = this.strands[index];
    if (strand === undefined) throw new Error('There is no such strand.');
    return strand;
  }
}
