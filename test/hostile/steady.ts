/** Honest calls at a steady pace. They show what others notice of an attack: their times, and their errors. */
import {
  connect,
  type Connection,
  type ConnectOptions,
  type Session,
} from 'nestjs-interconnect/core';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the honest side noticed in one phase. Times in milliseconds. */
export interface Notice {
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: readonly string[];
}

/** How the honest side calls. */
export interface Manner {
  /** The pattern. Default: `echo`. */
  readonly pattern?: string | undefined;
  /** Whether the honest side loses its socket again and again, and must be able to resume. */
  readonly losesSockets?: boolean | undefined;
  /** The value of the connect data. */
  readonly data?: string | undefined;
}

/** Milliseconds between two calls, and between two newcomers. */
const PACE = 10;
const NEWCOMERS = 250;
const LOSSES = 300;
/** Milliseconds that a call and a newcomer may take: far more than a fair share of a busy machine. */
const PATIENCE = 10_000;
/** Calls that wait at most. A victim that stands is asked no more. */
const MOST_WAITING = 100;
/** The same octets are a binary payload and a JSON value. */
const PAYLOAD = Buffer.from(JSON.stringify('x'.repeat(60)));

export class Steady {
  readonly #options: ConnectOptions;
  readonly #manner: Manner;
  readonly #connection: Connection;
  readonly #session: Session;
  #times: number[] = [];
  #errors: string[] = [];
  readonly #under = new Set<Promise<void>>();
  #isOver = false;

  private constructor(
    options: ConnectOptions,
    manner: Manner,
    session: Session,
    connection: Connection,
  ) {
    this.#options = options;
    this.#manner = manner;
    this.#session = session;
    this.#connection = connection;
    connection.on('renew', () => this.#errors.push('the connection began anew'));
    connection.on('close', (error) => {
      if (!this.#isOver) this.#errors.push(`the connection ended: ${error?.code}`);
    });
    void this.#every(PACE, () => this.#call());
    void this.#every(NEWCOMERS, () => this.#newcomer());
    if (manner.losesSockets === true) void this.#every(LOSSES, () => this.#lose());
  }

  static async start(options: ConnectOptions, manner: Manner = {}): Promise<Steady> {
    const connection = await connect({ ...options, data: Buffer.from(manner.data ?? '') });
    const session = await connection.createSession(manner.pattern ?? 'echo');
    return new Steady(options, manner, session, connection);
  }

  /** Forgets what was noticed so far. */
  begin(): void {
    this.#times = [];
    this.#errors = [];
  }

  /** What was noticed since `begin`. Waits for the calls that are under way. */
  async end(): Promise<Notice> {
    await Promise.all(this.#under);
    const times = this.#times.sort((a, b) => a - b);
    const at = (part: number): number => times[Math.floor(times.length * part)] ?? NaN;
    return { calls: times.length, p50: at(0.5), p99: at(0.99), errors: [...new Set(this.#errors)] };
  }

  close(): Promise<void> {
    this.#isOver = true;
    return this.#connection.close();
  }

  async #every(delay: number, work: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await sleep(delay);
      if (this.#under.size >= MOST_WAITING) continue;
      const done = work()
        .catch((error: unknown) => {
          if (!this.#isOver) this.#errors.push(String(error).slice(0, 160));
        })
        .finally(() => this.#under.delete(done));
      this.#under.add(done);
    }
  }

  async #call(): Promise<void> {
    const began = performance.now();
    const outcome = await this.#session.send(PAYLOAD, { timeout: PATIENCE });
    this.#times.push(performance.now() - began);
    if (!outcome.accepted) throw new Error(`rejected: ${outcome.reason}`);
  }

  async #newcomer(): Promise<void> {
    const data = Buffer.from(this.#manner.data ?? '');
    const connection = await connect({ ...this.#options, data, handshakeTimeout: PATIENCE });
    await connection.close();
  }

  async #lose(): Promise<void> {
    if (this.#connection.status === 'open') this.#connection.socket.destroy();
  }
}
