/**
 * One real machine, and a peer that a test writes by hand. The test sends any octets and frames, and reads the
 * machine's frames.
 *
 *     const peer = SimPeer.greeted('listener');
 *     peer.send({ type: FrameType.SEND, session: 7, id: 1 });
 *     peer.expectClose(Code.PROTOCOL);
 */
import { DEFAULT_LIMITS, type Limits } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  Code,
  codeName,
  encodeFrame,
  encodePreface,
  FrameType,
  type Meta,
} from '../../../src/wire/index.js';
import type { FrameInit } from '../codec/frame-log.js';
import { keepTranscript } from '../transcripts.js';
import { ManualClock } from './manual-clock.js';
import { type SideOptions, SimSide } from './sim-side.js';

export class SimPeer {
  readonly clock = new ManualClock();
  /** The machine under test. */
  readonly side: SimSide;

  constructor(role: 'dialer' | 'listener', options: SideOptions = {}) {
    this.side = new SimSide(role, this.clock, options);
    this.side.afterTimer = () => this.flush();
    keepTranscript(() => `--- ${role}\n${this.side.log.transcript()}`);
    this.flush();
  }

  /**
   * A peer whose handshake is done. The log has no unread frames. `limits` are the limits that the peer announces.
   */
  static greeted(
    role: 'dialer' | 'listener',
    options: SideOptions = {},
    limits: Partial<Limits> = {},
  ): SimPeer {
    const peer = new SimPeer(role, options);
    peer.greet(limitsToMeta({ ...DEFAULT_LIMITS, ...limits }));
    peer.lines();
    return peer;
  }

  /** Sends the preface and HELLO or WELCOME. */
  greet(meta: Meta = limitsToMeta(DEFAULT_LIMITS)): void {
    const type = this.side.role === 'listener' ? FrameType.HELLO : FrameType.WELCOME;
    this.bytes(encodePreface(), encodeFrame({ type, meta }));
  }

  /** Sends octets, each argument as one chunk. */
  bytes(...chunks: Buffer[]): void {
    for (const chunk of chunks) {
      this.side.receive(chunk);
      this.flush();
    }
  }

  /** Sends frames, each as one chunk. */
  send(...frames: FrameInit[]): void {
    this.bytes(...frames.map((frame) => encodeFrame(frame)));
  }

  /** Sends frames in one chunk. */
  burst(frames: readonly FrameInit[]): void {
    this.bytes(Buffer.concat(frames.map((frame) => encodeFrame(frame))));
  }

  /** Makes the machine write its pending output. */
  flush(): void {
    while (this.side.woken && !this.side.aborted) {
      this.side.flush();
      this.side.release(true);
    }
  }

  advance(milliseconds: number): void {
    this.clock.advance(milliseconds);
    this.flush();
  }

  /** The frames that the machine has written since the last call. */
  lines(): string[] {
    return this.side.log.lines();
  }

  /** The name of the code in the last CLOSE of the machine, if there is one. */
  get closeCode(): string | undefined {
    const last = this.side.log.frames.at(-1);
    return last?.type === FrameType.CLOSE ? codeName(last.meta.code ?? Code.OK) : undefined;
  }

  /** Checks that the machine's last frame is CLOSE with this code, and that the socket ends. */
  expectClose(code: number): void {
    const { side } = this;
    const last = side.log.frames.at(-1);
    if (last?.type !== FrameType.CLOSE) {
      throw new Error(`Expected CLOSE ${codeName(code)}; it wrote: ${this.lines().join(' · ')}.`);
    }
    const said = last.meta.code ?? Code.OK;
    if (said !== code) {
      throw new Error(
        `Expected CLOSE ${codeName(code)}; it is ${codeName(said)}: ${last.meta.text}`,
      );
    }
    if (!side.ended || side.closed === undefined) throw new Error('The socket does not end.');
  }

  /** Checks that the machine has written nothing and stays open. */
  expectSilence(): void {
    const lines = this.lines();
    if (lines.length > 0) throw new Error(`It wrote: ${lines.join(' · ')}.`);
    if (this.side.closed !== undefined) throw new Error(`It is ${this.side.status}.`);
  }
}
