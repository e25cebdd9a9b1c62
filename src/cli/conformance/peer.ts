/** The suite's end of one socket: writes the octets of a case, and waits for the frames that PROTOCOL.md demands. */
import type { Socket } from 'node:net';
import {
  type Code,
  codeName,
  describeFrame,
  type Frame,
  FrameDecoder,
  FrameType,
  type FrameView,
  frameName,
  isSequenced,
  PrefaceDecoder,
} from '../../wire/index.js';
import { messageOf } from '../message-of.js';
import { CreditLedger } from './credit-ledger.js';
import { type Limits, limitsOf } from './limits.js';
import { demandCode, Mismatch } from './mismatch.js';
import { credit, frame, ping } from './octets.js';
import { pause, type Waits } from './waits.js';

type Wanted = (frame: Frame) => boolean;

/** The number of last frames that the description of a failure lists. */
const STORY = 6;
/** The first token of the suite's fences. A case that sends its own PING uses another token. */
const FIRST_FENCE = 0x60000000;
/** Milliseconds. While the suite waits, it writes at least this often, so that no IDLE ends the socket. */
const BEAT = 500;

/** One socket to the implementation under test. Each wait that exceeds the timeout ends with a `Mismatch`. */
export class Peer {
  /** A case destroys the socket to simulate its loss. */
  readonly socket: Socket;
  /** Octets received, the preface included. */
  received = 0;
  /** Sequenced frames received: the count that CREDIT acknowledges and RESUME reports. */
  read = 0;
  /** Whether the suite answers PING. */
  answersPings = true;
  /** The received frames that no case has taken yet, in order. */
  readonly frames: Frame[] = [];
  readonly #timeout: number;
  readonly #patience: number;
  readonly #preface = new PrefaceDecoder();
  readonly #decoder: FrameDecoder;
  readonly #story: string[] = [];
  /** Set when octets have come that are no legal frame, or a frame has come after CLOSE. */
  #fault: string | undefined;
  #hasClose = false;
  #isEnded = false;
  #isClosed = false;
  #fences = FIRST_FENCE;
  #limits: Limits | undefined;
  #ledger: CreditLedger | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket, { timeout, patience }: Waits) {
    this.socket = socket;
    this.#timeout = timeout;
    this.#patience = patience;
    this.#decoder = new FrameDecoder(
      { onFrame: (view) => this.#onFrame(view) },
      { maxFrame: 2 ** 24 - 1, maxMeta: 2 ** 16 - 1 },
    );
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => {
      this.#isEnded = true;
      this.#changed();
    });
    socket.on('close', () => {
      this.#isEnded = true;
      this.#isClosed = true;
      this.#changed();
    });
  }

  /** The limits that the other side announced. */
  get limits(): Limits {
    if (this.#limits === undefined) throw new Error('The handshake is not over yet.');
    return this.#limits;
  }

  /** The credit that the other side has given, and the part that the suite's frames have used. */
  get ledger(): CreditLedger {
    if (this.#ledger === undefined) throw new Error('The handshake is not over yet.');
    return this.#ledger;
  }

  /** The version in the other side's preface; `undefined` until the preface is complete. */
  get version(): number | undefined {
    return this.#preface.version;
  }

  /** Whether the socket is closed in both directions. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether the other side has ended its direction of the stream. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Puts the limits of this greeting in force. A later HELLO or WELCOME on this socket does not change them. */
  learn(greeting: Frame): void {
    this.#learn(greeting);
  }

  /** Writes all buffers in one piece. Each buffer is meant as one frame, legal or not. */
  write(...octets: readonly Buffer[]): void {
    if (this.#ledger !== undefined) for (const each of octets) this.#ledger.onWrite(each);
    this.socket.write(Buffer.concat(octets));
  }

  /** Acknowledges all frames received, and raises no limit. */
  acknowledge(): void {
    this.write(credit(0, 0, 0, this.read));
  }

  /** Resolves when the kernel has taken the octet. */
  writeSlowly(octet: Buffer): Promise<void> {
    return new Promise((resolve) => this.socket.write(octet, () => resolve()));
  }

  /**
   * Waits for the next wanted frame, and leaves the frames before it in `frames`. A CLOSE that is not wanted fails
   * the wait.
   */
  next(expected: string, wanted: Wanted, timeout?: number): Promise<Frame> {
    return this.until(
      expected,
      () => {
        const at = this.frames.findIndex(wanted);
        if (at >= 0) return this.frames.splice(at, 1)[0];
        const close = this.frames.find(({ type }) => type === FrameType.CLOSE);
        if (close !== undefined) throw new Mismatch(expected, describeFrame(close));
        return undefined;
      },
      timeout,
    );
  }

  /** Waits for the next frame of this type, and of this session if one is given. */
  frame(type: number, session?: number): Promise<Frame> {
    const of = session === undefined ? '' : ` of session ${session}`;
    return this.next(
      `${frameName(type)}${of}`,
      (each) => each.type === type && (session === undefined || each.session === session),
    );
  }

  /** Waits for CLOSE with one of the codes as the last frame, and then for the end of the stream. */
  async closes(...codes: (typeof Code)[keyof typeof Code][]): Promise<Frame> {
    const expected = `CLOSE(${codes.map(codeName).join(' or ')})`;
    const close = await this.next(expected, ({ type }) => type === FrameType.CLOSE);
    demandCode('CLOSE', close.meta.code ?? 0, ...codes);
    await this.ends(`the end of the stream after ${expected}`);
    return close;
  }

  /** Waits for the end of the other side's stream. CLOSE may be its last frame, and nothing may follow CLOSE. */
  async ends(expected: string, timeout?: number): Promise<void> {
    await this.until(
      expected,
      () => {
        if (this.#fault !== undefined) throw new Mismatch(expected, this.#fault);
        return this.#isEnded ? null : undefined;
      },
      timeout,
    );
  }

  /** Waits for the end of the stream, without a CLOSE before it. */
  async endsInSilence(timeout?: number): Promise<void> {
    const expected = 'the end of the stream, without CLOSE';
    await this.ends(expected, timeout);
    if (this.#hasClose) throw new Mismatch(expected, this.#told('the end of the stream'));
  }

  /** Waits for the end of the stream, without a single octet before it. */
  async drops(timeout?: number): Promise<void> {
    const expected = 'the socket is destroyed without an octet (DROP)';
    await this.until(expected, () => (this.#isEnded ? null : undefined), timeout);
    if (this.received > 0) throw new Mismatch(expected, `${this.received} octets came`);
  }

  /**
   * Waits until the other side has read everything that the suite has written, and checks that the connection goes
   * on.
   */
  async fence(expected = 'the connection goes on, and answers PING'): Promise<void> {
    this.#fences += 1;
    const token = this.#fences;
    this.write(ping(token));
    await this.next(expected, ({ type, id }) => type === FrameType.PONG && id === token);
  }

  /**
   * Waits for the time of `--patience`. By then, the application of the implementation has made its decisions, and a
   * case can judge that no frame came.
   */
  async lull(): Promise<void> {
    for (let left = this.#patience; left > 0; left -= BEAT) {
      await pause(Math.min(left, BEAT));
      await this.fence();
    }
  }

  /**
   * Waits until `find` finds something. Calls `find` after each change on the socket. `find` returns `null` if it
   * succeeds without a value.
   */
  until<T>(
    expected: string,
    find: () => T | undefined,
    timeout: number = this.#timeout,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        try {
          const found = find();
          if (found !== undefined) resolve(found);
          else if (this.#fault !== undefined) reject(new Mismatch(expected, this.#fault));
          else if (this.#isEnded) reject(new Mismatch(expected, this.#told('the stream ended')));
          else return false;
        } catch (error) {
          reject(error);
        }
        return true;
      };
      if (settle()) return;
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        reject(new Mismatch(expected, this.#told(`nothing more within ${timeout} ms`)));
      }, timeout);
      const look = (): void => {
        if (!settle()) return;
        clearTimeout(timer);
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
    });
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.#fault !== undefined) return;
    try {
      const taken = this.#preface.version === undefined ? this.#preface.push(chunk) : 0;
      if (this.#preface.version !== undefined) this.#decoder.push(chunk.subarray(taken));
    } catch (error) {
      this.#fault = `octets that are no legal frame: ${messageOf(error)}`;
    }
    this.#changed();
  }

  #onFrame(view: FrameView): void {
    const seen = view.decode();
    const read = { ...seen, payload: Buffer.from(seen.payload) };
    const { type, id } = read;
    if (isSequenced(type)) this.read += 1;
    this.#story.push(describeFrame(read));
    if (this.#story.length > STORY) this.#story.shift();
    // Read the limits now: a CREDIT may follow in the same chunk.
    if (type <= FrameType.WELCOME && this.#limits === undefined) this.#learn(read);
    if (this.#hasClose) this.#fault = `${describeFrame(read)} after CLOSE`;
    if (type === FrameType.CLOSE) this.#hasClose = true;
    if (type === FrameType.CREDIT) this.#ledger?.onCredit(read);
    if (type === FrameType.PING && this.answersPings) {
      this.write(frame(FrameType.PONG, { id }));
    }
    this.frames.push(read);
  }

  #learn(greeting: Frame): void {
    this.#limits = limitsOf(greeting.meta);
    this.#ledger = new CreditLedger(this.#limits);
  }

  #told(end: string): string {
    return [...this.#story, end].join(', then ');
  }

  #changed(): void {
    for (const look of this.#watchers) look();
  }
}
