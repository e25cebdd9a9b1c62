/** A peer that obeys nothing: it writes any octets, legal or not, and says what became of its socket. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import {
  codeName,
  encodeFrame,
  encodePreface,
  Flag,
  type Frame,
  FrameDecoder,
  FrameType,
  type Meta,
  PrefaceDecoder,
} from '../../src/wire/index.js';

export interface HostilePeerOptions {
  /** Fields of HELLO or WELCOME, instead of those of `GREETING`. */
  readonly meta?: Meta;
  /** Connect data. */
  readonly data?: string;
  readonly tls?: ConnectionOptions;
  /** The local address. Default: one that is not that of the honest client. */
  readonly from?: string;
}

type Draft = Partial<Omit<Frame, 'type'>> & Pick<Frame, 'type'>;

/** Limits that a peer announces if it wants as much as an honest one. */
export const GREETING: Meta = {
  maxFrame: 64 * 1024,
  maxMeta: 8 * 1024,
  maxMessage: 16 * 1024 * 1024,
  idle: 0,
  caps: 0,
  agent: 'hostile',
  connectionCredit: { opens: 1024, bytes: 64 * 1024 * 1024 },
  sessionCredit: { messages: 256, bytes: 64 * 1024 * 1024, items: 32 },
};

/** As `GREETING`, with all the credit that there is. */
export const GREEDY: Meta = {
  connectionCredit: { opens: 2 ** 20, bytes: 2 ** 30 },
  sessionCredit: { messages: 2 ** 30, bytes: 2 ** 30, items: 2 ** 30 },
};

export class HostilePeer {
  readonly socket: Socket;
  /** The number of frames that came, by type. */
  readonly counts = new Map<number, number>();
  /** The newest frame of each type. Payloads are copies. */
  readonly newest = new Map<number, Frame>();
  /** Octets that came. */
  received = 0;
  /** Sequenced frames that came, for acknowledgements. */
  sequenced = 0;
  /** Called for each frame. */
  onFrame: ((frame: Frame) => void) | undefined;
  /** Resolves with the reaction when the socket is gone. */
  readonly gone: Promise<string>;
  isGone = false;
  readonly #preface = new PrefaceDecoder();
  readonly #decoder: FrameDecoder;
  #waiting: { readonly type: number; readonly resolve: () => void }[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        this.isGone = true;
        for (const each of this.#waiting.splice(0)) each.resolve();
        resolve(this.reaction);
      });
    });
    this.#decoder = new FrameDecoder(
      {
        onFrame: (view) => {
          const seen = view.decode();
          this.#onFrame({ ...seen, payload: Buffer.from(seen.payload) });
        },
      },
      { maxFrame: 2 ** 24 - 1, maxMeta: 2 ** 16 - 1 },
    );
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
  }

  static dial(port: number, options: HostilePeerOptions = {}): Promise<HostilePeer> {
    const where = { host: '127.0.0.1', port, localAddress: options.from ?? '127.0.0.2' };
    const tcp = connect({ ...where, noDelay: true });
    const socket = options.tls === undefined ? tcp : connectTls({ ...options.tls, socket: tcp });
    const peer = new HostilePeer(socket);
    // Without a listener, a refused TCP socket under TLS would end the process.
    tcp.on('error', () => socket.destroy());
    const event = options.tls === undefined ? 'connect' : 'secureConnect';
    return new Promise((resolve) => {
      socket.once(event, () => resolve(peer));
      socket.once('close', () => resolve(peer));
    });
  }

  /** `CLOSE(NAME)`, `END(NAME)` and so on for the frame that ended the socket. `DROP`: not one octet came. `LOST`: else. */
  get reaction(): string {
    const close = this.newest.get(FrameType.CLOSE);
    if (close !== undefined) return `CLOSE(${codeName(close.meta.code ?? 0)})`;
    return this.received === 0 ? 'DROP' : 'LOST';
  }

  /** The reaction within the time, or `served`. */
  async reactionWithin(milliseconds: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const time = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve('served'), milliseconds);
    });
    const reaction = await Promise.race([this.gone, time]);
    clearTimeout(timer);
    return reaction;
  }

  greet(options: HostilePeerOptions = {}): void {
    const meta = { ...GREETING, ...options.meta };
    const payload = Buffer.from(options.data ?? '');
    this.write(encodePreface(), frame({ type: FrameType.HELLO, meta, payload }));
  }

  /** Waits for HELLO, and answers WELCOME. */
  async welcome(meta: Meta = {}): Promise<void> {
    await this.frame(FrameType.HELLO);
    this.write(encodePreface());
    this.send({ type: FrameType.WELCOME, meta: { ...GREETING, ...meta } });
  }

  write(...pieces: (Buffer | string)[]): void {
    if (this.socket.destroyed) return;
    this.socket.write(Buffer.concat(pieces.map((each) => Buffer.from(each as string, 'latin1'))));
  }

  send(...drafts: Draft[]): void {
    this.write(...drafts.map(frame));
  }

  /** Opens sessions from this number on, in one piece. */
  sessions(name: string, count = 1, first = 1): void {
    const drafts = Array.from({ length: count }, (_, index) => open(first + 2 * index, name));
    this.send(...drafts);
  }

  /** Waits until a frame of the type has come, or the socket is gone. Whether it came. */
  async frame(type: number): Promise<boolean> {
    while (!this.newest.has(type) && !this.isGone) {
      await new Promise<void>((resolve) => this.#waiting.push({ type, resolve }));
    }
    return this.newest.has(type);
  }

  /**
   * Writes pieces as fast as the victim takes them, until there is none, the socket is gone or the scene is over.
   * The octets that the victim does not take wait in the kernels and, up to one piece, here.
   */
  async pump(scene: { readonly isOver: boolean }, piece: () => Buffer | undefined): Promise<void> {
    while (goesOn(scene, this)) {
      const octets = piece();
      if (octets === undefined) return;
      if (!this.socket.write(octets)) await drained(this.socket, scene);
      else await turn();
    }
  }

  /** Stops reading. */
  deaf(): this {
    this.socket.pause();
    return this;
  }

  count(type: number): number {
    return this.counts.get(type) ?? 0;
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    try {
      const taken = this.#preface.version === undefined ? this.#preface.push(chunk) : 0;
      this.#decoder.push(chunk.subarray(taken));
    } catch {
      // What is not the protocol is counted, and not read.
    }
  }

  #onFrame(seen: Frame): void {
    this.counts.set(seen.type, this.count(seen.type) + 1);
    this.newest.set(seen.type, seen);
    if (seen.type >= 0x10) this.sequenced += 1;
    this.onFrame?.(seen);
    const due = this.#waiting.filter(({ type }) => type === seen.type);
    this.#waiting = this.#waiting.filter(({ type }) => type !== seen.type);
    for (const each of due) each.resolve();
  }
}

/** The octets of a frame with a legal header. */
export function frame(draft: Draft): Buffer {
  return encodeFrame({ ...draft, meta: draft.meta ?? {} });
}

/** The octets of a frame with any header and any body. */
export function rawFrame(header: {
  readonly type: number;
  readonly flags?: number;
  readonly metaLength?: number;
  readonly bodyLength?: number;
  readonly session?: number;
  readonly id?: number;
  readonly body?: Buffer;
}): Buffer {
  const { type, flags = 0, session = 0, id = 0, body = NOTHING } = header;
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt16BE(header.metaLength ?? body.length, 2);
  bytes.writeUInt32BE(header.bodyLength ?? body.length, 4);
  bytes.writeUInt32BE(session, 8);
  bytes.writeUInt32BE(id, 12);
  return Buffer.concat([bytes, body]);
}

/** One field of a meta, legal or not. */
export function field(tag: number, value: Buffer | string, length?: number): Buffer {
  const octets = Buffer.from(value as string, 'utf8');
  const head = Buffer.from([tag, 0, 0]);
  head.writeUInt16BE(length ?? octets.length, 1);
  return Buffer.concat([head, octets]);
}

export const open = (session: number, name: string): Draft => ({
  type: FrameType.OPEN,
  session,
  meta: { name },
});

export const send = (session: number, id: number, payload: Buffer = NOTHING, flags = 0): Draft => ({
  type: FrameType.SEND,
  session,
  id,
  flags,
  payload,
});

export const ping = (id: number): Draft => ({ type: FrameType.PING, id });
export const cancel = (session: number, id: number): Draft => ({
  type: FrameType.CANCEL,
  session,
  id,
});
export const frag = (
  session: number,
  id: number,
  payload: Buffer,
  flags: number = Flag.MORE,
): Draft => ({
  type: FrameType.FRAG,
  session,
  id,
  flags,
  payload,
});

/** A CREDIT for the connection: the count of frames, sessions and bytes. */
export const connectionCredit = (count: number, opens: number, bytes: number): Draft => ({
  type: FrameType.CREDIT,
  id: count,
  payload: pair(opens, bytes),
});

export function pair(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(first >>> 0, 0);
  bytes.writeUInt32BE(second >>> 0, 4);
  return bytes;
}

/** Frames in one piece, which `pump` can write again and again. */
export function many(count: number, draft: (index: number) => Draft): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => frame(draft(index))));
}

/** Whether the attack goes on. A function, because neither answer lasts. */
export function goesOn(scene: { readonly isOver: boolean }, peer: HostilePeer): boolean {
  return !scene.isOver && !peer.isGone;
}

/** Lets the event loop turn, so that frames of the victim arrive. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until the socket takes octets again, is gone, or the scene is over. */
async function drained(socket: Socket, scene: { readonly isOver: boolean }): Promise<void> {
  while (socket.writableNeedDrain && !socket.destroyed && !scene.isOver) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 50);
      socket.once('drain', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

export const NOTHING: Buffer = Buffer.alloc(0);
