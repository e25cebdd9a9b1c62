/** One side of a connection, written by hand: it sends any octets that a test wants, legal or not. */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import {
  encodePreface,
  type Frame,
  FrameDecoder,
  FrameType,
  type Meta,
  PrefaceDecoder,
} from '../../../src/wire/index.js';
import { naiveEncode } from '../codec/naive-codec.js';
import { afterTest } from '../after-test.js';
import { until } from '../events.js';

type Draft = Partial<Omit<Frame, 'type'>> & Pick<Frame, 'type'>;

export class RawPeer {
  readonly socket: Socket;
  /** The complete frames received. */
  readonly frames: Frame[] = [];
  /** Octets received, the preface included. */
  received = 0;
  /** Whether the socket is closed. */
  readonly closed: Promise<void>;
  readonly #preface = new PrefaceDecoder();
  readonly #decoder: FrameDecoder;
  /** Whether octets have come that do not belong to the protocol. */
  #isStrange = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#decoder = new FrameDecoder(
      {
        onFrame: (view) => {
          const seen = view.decode();
          this.frames.push({ ...seen, payload: Buffer.from(seen.payload) });
        },
      },
      { maxFrame: 2 ** 24 - 1, maxMeta: 2 ** 16 - 1 },
    );
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    afterTest(() => socket.destroy());
  }

  /** Connects to a listener, and sends nothing. */
  static async dial(address: { readonly host: string; readonly port: number }): Promise<RawPeer> {
    const socket = connect({ ...address, noDelay: true });
    const peer = new RawPeer(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    return peer;
  }

  /** Connects and does the handshake, as a dialer that follows the rules. */
  static async open(
    address: { readonly host: string; readonly port: number },
    meta: Meta = {},
  ): Promise<RawPeer> {
    const peer = await RawPeer.dial(address);
    peer.greet(meta);
    await peer.frame(FrameType.WELCOME);
    return peer;
  }

  /** Sends the preface and HELLO to a listener, as a dialer that follows the rules. */
  greet(meta: Meta = {}): void {
    this.write(encodePreface(), frame({ type: FrameType.HELLO, meta: { ...GREETING, ...meta } }));
  }

  /** Sends the preface and WELCOME to a dialer, as a listener that follows the rules. */
  async welcome(meta: Meta = {}): Promise<void> {
    await this.frame(FrameType.HELLO);
    this.write(encodePreface(), frame({ type: FrameType.WELCOME, meta: { ...GREETING, ...meta } }));
  }

  /** Waits for the preface of the other side, and returns its version. */
  get version(): number | undefined {
    return this.#preface.version;
  }

  write(...bytes: (Buffer | string)[]): void {
    this.socket.write(Buffer.concat(bytes.map((each) => Buffer.from(each as string, 'latin1'))));
  }

  /** Writes frames in one piece. */
  send(...frames: Draft[]): void {
    this.socket.write(Buffer.concat(frames.map(frame)));
  }

  /** Waits for the next frame of that type, and takes it from the received frames. */
  async frame(type: number): Promise<Frame> {
    const gone = this.closed.then(() => true);
    let isGone = false;
    void gone.then(() => (isGone = true));
    await until(() => isGone || this.frames.some((each) => each.type === type));
    const at = this.frames.findIndex((each) => each.type === type);
    const [found] = at < 0 ? [] : this.frames.splice(at, 1);
    if (found === undefined) throw new Error(`The socket closed before frame ${type} came.`);
    return found;
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.#isStrange) return;
    try {
      const taken = this.#preface.version === undefined ? this.#preface.push(chunk) : 0;
      this.#decoder.push(chunk.subarray(taken));
    } catch {
      this.#isStrange = true;
    }
  }
}

export class RawListener {
  readonly #server: Server;
  readonly #peers: RawPeer[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#peers.push(new RawPeer(socket)));
  }

  static async listen(): Promise<RawListener> {
    const server = createServer().listen(0, '127.0.0.1');
    const listener = new RawListener(server);
    await new Promise((resolve) => server.once('listening', resolve));
    afterTest(() => server.close());
    return listener;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Stops accepting dialers. */
  close(): void {
    this.#server.close();
  }

  /** Waits for the next dialer. */
  async accepted(): Promise<RawPeer> {
    await until(() => this.#peers.length > 0);
    const peer = this.#peers.shift();
    if (peer === undefined) throw new Error('There is no dialer.');
    return peer;
  }
}

/** The octets of a frame, legal or not. Absent parts are zero or empty. */
export function frame(draft: Draft): Buffer {
  return naiveEncode({ flags: 0, session: 0, id: 0, meta: {}, payload: NOTHING, ...draft });
}

/** A header that announces a body of `length` octets. The body does not follow. */
export function header(type: number, length: number, session = 0, id = 0): Buffer {
  const bytes = frame({ type, session, id });
  bytes.writeUInt32BE(length, 4);
  return bytes;
}

const NOTHING = Buffer.alloc(0);

/** The most generous legal limits, without an idle time. */
export const GREETING: Meta = {
  maxFrame: 64 * 1024,
  maxMeta: 8 * 1024,
  maxMessage: 16 * 1024 * 1024,
  idle: 0,
  caps: 0,
  agent: 'raw',
  connectionCredit: { opens: 1024, bytes: 64 * 1024 * 1024 },
  sessionCredit: { messages: 256, bytes: 64 * 1024 * 1024, items: 32 },
};
