/**
 * Two real machines, joined by pipes in memory, with a clock that the test controls. Each written frame is checked
 * against the rules of the wire.
 *
 *     const pair = SimPair.open();
 *     const session = pair.dialer.session('orders');
 *     pair.listener.onMessage = (message) => void message.respond('pong');
 *     const send = session.send('ping');
 *     pair.run();
 *     expect(send.outcome).toBe('accepted "pong"');
 */
import { FrameLog } from '../codec/frame-log.js';
import { keepTranscript } from '../transcripts.js';
import { ManualClock } from './manual-clock.js';
import { type SideOptions, SimSide } from './sim-side.js';
import type { SimSession } from './sim-application.js';
import { WireAudit } from './wire-audit.js';

export interface PairOptions {
  readonly dialer?: SideOptions;
  readonly listener?: SideOptions;
  /** Limits for both sides. */
  readonly limits?: SideOptions['limits'];
  readonly lastId?: number;
}

// Read the globals once and not for each octet: in Jest's realm, each access to a global is slow.
const { max, min } = Math;

/** The octets on their way from one side to the other. */
export class SimPipe {
  /** While this is set, no octet arrives: the network is silent. */
  blocked = false;
  /** Whether the kernel takes written octets at once. If so, the sender may reuse its memory. */
  takes = true;
  /** Returns the size of the next chunk, given the number of available octets. */
  cut: (available: number) => number = (available) => available;
  /** The frames that have arrived. */
  readonly arrived = new FrameLog();
  readonly #from: SimSide;
  readonly #to: SimSide;
  #chunks: Buffer[] = [];
  #finished = false;

  constructor(from: SimSide, to: SimSide) {
    this.#from = from;
    this.#to = to;
  }

  get size(): number {
    return this.#chunks.reduce((size, { length }) => size + length, 0);
  }

  /** Makes the sender write its pending output. Returns false if there is none. */
  flush(): boolean {
    if (!this.#from.woken) return false;
    const chunks = this.#from.flush();
    const taken = this.takes && this.#chunks.length === 0;
    this.#chunks.push(...(taken ? chunks.map((chunk) => Buffer.from(chunk)) : chunks));
    this.#from.release(taken);
    return chunks.length > 0;
  }

  /**
   * Delivers up to `octets` octets, in chunks whose sizes `cut` gives. Returns false if there is nothing to deliver.
   */
  deliver(octets = Infinity): boolean {
    const bytes = Buffer.concat(this.#chunks);
    const end = min(octets, bytes.length);
    this.#chunks = [];
    let at = 0;
    while (at < end) {
      const chunk = bytes.subarray(at, at + max(1, min(end - at, this.cut(end - at))));
      at += chunk.length;
      this.arrived.push(chunk);
      this.#to.receive(chunk);
    }
    if (at < bytes.length) this.#chunks.unshift(bytes.subarray(at));
    return at > 0 || this.#finish();
  }

  /** Drops the octets on their way. */
  clear(): void {
    this.#chunks = [];
    this.#finished = true;
  }

  /** Delivers the end of the stream after all octets before it. */
  #finish(): boolean {
    if (this.#finished || this.#chunks.length > 0) return false;
    if (!this.#from.ended && !this.#from.aborted) return false;
    this.#finished = true;
    this.#to.lose('the other side ended the stream');
    return true;
  }
}

export class SimPair {
  readonly clock = new ManualClock();
  readonly dialer: SimSide;
  readonly listener: SimSide;
  /** From the dialer to the listener, and back. */
  readonly there: SimPipe;
  readonly back: SimPipe;

  constructor(options: PairOptions = {}) {
    const { dialer, listener, limits, lastId = 0 } = options;
    this.dialer = new SimSide('dialer', this.clock, { ...withLimits(limits, dialer), lastId });
    this.listener = new SimSide('listener', this.clock, {
      ...withLimits(limits, listener),
      lastId,
    });
    this.there = new SimPipe(this.dialer, this.listener);
    this.back = new SimPipe(this.listener, this.dialer);
    const isGone = (way: 0 | 1, id: number): boolean => {
      const { sessions } = way === 0 ? this.listener : this.dialer;
      return sessions.every((session) => session.id !== id || session.closed !== undefined);
    };
    const audit = new WireAudit(isGone, lastId);
    this.dialer.log.onFrame = (frame) => audit.onWritten(0, frame);
    this.listener.log.onFrame = (frame) => audit.onWritten(1, frame);
    this.there.arrived.onFrame = (frame) => audit.onArrived(0, frame);
    this.back.arrived.onFrame = (frame) => audit.onArrived(1, frame);
    for (const side of [this.dialer, this.listener]) side.afterTimer = () => this.run();
    keepTranscript(() => this.transcript());
  }

  /** A pair whose handshake is done. The logs have no unread frames. */
  static open(options: PairOptions = {}): SimPair {
    const pair = new SimPair(options);
    pair.run();
    pair.dialer.log.lines();
    pair.listener.log.lines();
    return pair;
  }

  /** Opens a session from the dialer, which the listener accepts. Returns both ends. */
  join(name = 'test'): { dialer: SimSession; listener: SimSession } {
    const dialer = this.dialer.session(name);
    this.run();
    return { dialer, listener: this.listener.last };
  }

  /** Moves octets in both directions until nothing is left to move. */
  run(): void {
    for (let moved = true; moved;) {
      moved = false;
      for (const pipe of [this.there, this.back]) {
        if (pipe.flush()) moved = true;
        if (!pipe.blocked && pipe.deliver()) moved = true;
      }
    }
  }

  /** Writes the pending output of both sides, and delivers none of it. */
  flush(): void {
    this.there.flush();
    this.back.flush();
  }

  /** Lets time pass. After each timer, all resulting octets move at once. */
  advance(milliseconds: number): void {
    this.run();
    this.clock.advance(milliseconds);
    this.run();
  }

  /** Makes the network silent in both directions, or ends the silence. */
  silence(silent = true): void {
    this.there.blocked = this.back.blocked = silent;
  }

  /** Cuts the socket. The octets on their way are lost. */
  cut(): void {
    this.there.clear();
    this.back.clear();
    this.dialer.lose();
    this.listener.lose();
  }

  /** All frames that both sides have written, for the message of a failing test. */
  transcript(): string {
    return `--- dialer\n${this.dialer.log.transcript()}\n--- listener\n${this.listener.log.transcript()}`;
  }
}

function withLimits(limits: SideOptions['limits'], options: SideOptions = {}): SideOptions {
  return { ...options, limits: { ...limits, ...options.limits } };
}
