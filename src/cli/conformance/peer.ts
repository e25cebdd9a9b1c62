/** The suite's end of one socket: says what a case wants, and waits for what PROTOCOL.md demands. */
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

/** Frames that the description of a failure repeats. */
const STORY = 6;
/** Tokens of the suite's fences; a case that pings has its own. */
const FIRST_FENCE = 0x60000000;
/** Milliseconds: the suite writes at least that often while it waits, so that no IDLE ends the wait. */
const BEAT = 500;

/** One socket to the implementation under test. Waits end with its timeout, as a `Mismatch`. */
export class Peer {
  /** `destroy` it for a loss without notice. */
  readonly socket: Socket;
  /** Octets that have come, the preface included. */
  received = 0;
  /** Sequenced frames that have come: what CREDIT acknowledges, and RESUME counts. */
  read = 0;
  /** Whether PINGs are answered. */
  answersPings = true;
  /** Every frame that has come and was not taken yet. */
  readonly frames: Frame[] = [];
  readonly #timeout: number;
  readonly #patience: number;
  readonly #preface = new PrefaceDecoder();
  readonly #decoder: FrameDecoder;
  readonly #story: string[] = [];
  /** What came that is no frame. */
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

  /** What the other side announced. */
  get limits(): Limits {
    if (this.#limits === undefined) throw new Error('The handshake is not over yet.');
    return this.#limits;
  }

  /** The credit that the other side gave, and what the suite's frames have used of it. */
  get ledger(): CreditLedger {
    if (this.#ledger === undefined) throw new Error('The handshake is not over yet.');
    return this.#ledger;
  }

  /** The version in the other side's preface; `undefined` before it is whole. */
  get version(): number | undefined {
    return this.#preface.version;
  }

  /** Whether the socket is gone altogether. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether the other side has ended its direction of the stream. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** These limits are in force, whatever the next HELLO or WELCOME says. */
  learn(greeting: Frame): void {
    this.#learn(greeting);
  }

  /** Writes all of it in one piece; each buffer is one frame, where it is a frame at all. */
  write(...octets: readonly Buffer[]): void {
    if (this.#ledger !== undefined) for (const each of octets) this.#ledger.onWrite(each);
    this.socket.write(Buffer.concat(octets));
  }

  /** Acknowledges all that has come, and raises nothing. */
  acknowledge(): void {
    this.write(credit(0, 0, 0, this.read));
  }

  /** Resolves when it was handed to the kernel. */
  writeSlowly(octet: Buffer): Promise<void> {
    return new Promise((resolve) => this.socket.write(octet, () => resolve()));
  }

  /** The next frame that is wanted; those before it stay. CLOSE ends the wait, if it is not wanted. */
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

  /** The next frame of that type, of that session where one is given. */
  frame(type: number, session?: number): Promise<Frame> {
    const of = session === undefined ? '' : ` of session ${session}`;
    return this.next(
      `${frameName(type)}${of}`,
      (each) => each.type === type && (session === undefined || each.session === session),
    );
  }

  /** CLOSE with one of the codes, as the last frame, and then the end of the stream. */
  async closes(...codes: (typeof Code)[keyof typeof Code][]): Promise<Frame> {
    const expected = `CLOSE(${codes.map(codeName).join(' or ')})`;
    const close = await this.next(expected, ({ type }) => type === FrameType.CLOSE);
    demandCode('CLOSE', close.meta.code ?? 0, ...codes);
    await this.ends(`the end of the stream after ${expected}`);
    return close;
  }

  /** The end of the other side's stream, and nothing after its CLOSE, where there is one. */
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

  /** The end of the stream, without a CLOSE before it. */
  async endsInSilence(timeout?: number): Promise<void> {
    const expected = 'the end of the stream, without CLOSE';
    await this.ends(expected, timeout);
    if (this.#hasClose) throw new Mismatch(expected, this.#told('the end of the stream'));
  }

  /** The end of the stream, and not one octet before it. */
  async drops(timeout?: number): Promise<void> {
    const expected = 'the socket is destroyed without an octet (DROP)';
    await this.until(expected, () => (this.#isEnded ? null : undefined), timeout);
    if (this.received > 0) throw new Mismatch(expected, `${this.received} octets came`);
  }

  /** Everything that was written is read, and the connection goes on. */
  async fence(expected = 'the connection goes on, and answers PING'): Promise<void> {
    this.#fences += 1;
    const token = this.#fences;
    this.write(ping(token));
    await this.next(expected, ({ type, id }) => type === FrameType.PONG && id === token);
  }

  /**
   * Waits as long as the patience. What the implementation's application decides has come after it, and a case can
   * judge that nothing came.
   */
  async lull(): Promise<void> {
    for (let left = this.#patience; left > 0; left -= BEAT) {
      await pause(Math.min(left, BEAT));
      await this.fence();
    }
  }

  /** Waits for anything that changes with what comes. `null` stands for "yes, and there is nothing to tell". */
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
    // At once: credit may stand right behind it.
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
