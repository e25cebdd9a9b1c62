/** The role `attacker`: runs one program. Its sockets stay open until the process is killed. */
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificates } from '../support/peers/certificates.js';
import { Random } from '../support/random.js';
import { HostilePeer, type HostilePeerOptions } from './hostile-peer.js';
import type { Scene } from './program.js';
import { programs } from './programs/index.js';
import { answer } from './questions.js';

interface Order {
  readonly name: string;
  readonly port: number;
  readonly seconds: number;
  readonly seed: number;
  readonly certificates?: Certificates | undefined;
}

class Stage implements Scene {
  readonly port: number;
  served = 0;
  readonly #certificates: Certificates | undefined;
  readonly #end: number;
  readonly #random: Random;

  constructor({ port, seconds, seed, certificates }: Order) {
    this.#certificates = certificates;
    this.port = port;
    this.#end = performance.now() + seconds * 1000;
    this.#random = new Random(seed);
  }

  get isOver(): boolean {
    return this.left <= 0;
  }

  get left(): number {
    return this.#end - performance.now();
  }

  get certificates(): Certificates {
    if (this.#certificates === undefined) throw new Error('This victim has no TLS.');
    return this.#certificates;
  }

  random(below: number): number {
    return this.#random.integer(0, below - 1);
  }

  dial(options?: HostilePeerOptions): Promise<HostilePeer> {
    return HostilePeer.dial(this.port, options);
  }

  async open(
    meta: HostilePeerOptions['meta'] = {},
    options: HostilePeerOptions = {},
  ): Promise<HostilePeer> {
    const peer = await this.dial(options);
    peer.greet({ ...options, meta });
    await Promise.race([
      peer.frame(WELCOME),
      sleep(Math.max(1, this.left), undefined, { ref: false }),
    ]);
    return peer;
  }

  async serve(serve: (peer: HostilePeer) => unknown): Promise<void> {
    onSocket = (peer) => {
      this.served += 1;
      return serve(peer);
    };
    for (const peer of early.splice(0)) onSocket(peer);
    await sleep(Math.max(0, this.left));
    // On a busy machine the first dialer can be late.
    for (let times = 0; times < 50 && this.served === 0; times++) await sleep(100);
  }
}

const WELCOME = 0x02;
let onSocket: ((peer: HostilePeer) => unknown) | undefined;
const early: HostilePeer[] = [];
let server: Server | undefined;

answer({
  /** Listens for a victim that is a client, and answers with the port. */
  listen: () =>
    new Promise<number>((resolve) => {
      server = createServer({ noDelay: true }, (socket) => {
        const peer = new HostilePeer(socket);
        if (onSocket === undefined) early.push(peer);
        else void onSocket(peer);
      });
      server.listen(0, '127.0.0.1', () => {
        const address = server?.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    }),
  attack: async (order: Order) => {
    const program = programs.find(({ name }) => name === order.name);
    if (program === undefined) throw new Error(`There is no program "${order.name}".`);
    return program.attack(new Stage(order));
  },
});
