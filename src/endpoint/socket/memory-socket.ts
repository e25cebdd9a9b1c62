/**
 * A stream within this process. Both ends are `net.Socket`s without a handle, so that their users see no difference.
 * The stream behaves like TCP: data arrives later and never within a `write`, data is copied, a writer waits for a slow
 * reader, an end leaves the other direction open, and a write to a closed socket is an error.
 */
import { Socket } from 'node:net';
import { setImmediate } from '../common/runtime.js';

type Done = (error?: Error | null) => void;

/** @internal */
export class MemorySocket extends Socket {
  /** The other end. */
  readonly peer: MemorySocket;
  override connecting = false;
  override bytesRead = 0;
  override bytesWritten = 0;
  /** The chunks that the other end has written, and that this end has not read; `null` is the end. */
  readonly #inbox: (Buffer | null)[] = [];
  #unread = 0;
  /** Whether the stream above has asked for more. */
  #isWanted = false;
  #isScheduled = false;
  /** The other end's waiting write, which completes when there is room again. */
  #waiting: Done | undefined;

  /** Without a `peer`, creates both ends. */
  constructor(peer?: MemorySocket) {
    super({ allowHalfOpen: true });
    this.peer = peer ?? new MemorySocket(this);
  }

  override _read(): void {
    this.#isWanted = true;
    this.#schedule();
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    const { peer } = this;
    if (peer.destroyed) return done(resetError());
    const bytes = toBytes(chunk, encoding);
    this.bytesWritten += bytes.length;
    peer.#unread += bytes.length;
    for (let at = 0; at < bytes.length; at += LARGEST_CHUNK) {
      peer.#arrive(Buffer.from(bytes.subarray(at, at + LARGEST_CHUNK)));
    }
    if (peer.#unread < CAPACITY) done();
    else peer.#waiting = done;
  }

  override _writev(
    chunks: { chunk: Buffer | string; encoding: BufferEncoding }[],
    done: Done,
  ): void {
    const bytes = chunks.map(({ chunk, encoding }) => toBytes(chunk, encoding));
    this._write(Buffer.concat(bytes), 'utf8', done);
  }

  override _final(done: Done): void {
    this.peer.#arrive(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { peer } = this;
    // If this end leaves data unread, the other end is reset. Otherwise it reads an end.
    if (this.#unread > 0) setImmediate(() => peer.destroy(resetError()));
    else if (!this.writableFinished) peer.#arrive(null);
    this.#inbox.length = 0;
    // Completes the peer's own waiting write without an error, like Node's own sockets.
    peer.#makeRoom();
    super._destroy(error, done);
  }

  #arrive(bytes: Buffer | null): void {
    if (this.destroyed) return;
    this.#inbox.push(bytes);
    this.#schedule();
  }

  /** Delivers one chunk in each turn of the event loop: all effects of a chunk have run before the next one. */
  #schedule(): void {
    if (this.#isScheduled || !this.#isWanted || this.#inbox.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#isScheduled = false;
    const bytes = this.#inbox.shift();
    // The socket was destroyed.
    if (bytes === undefined) return;
    // The reader of this chunk asks for the next one.
    this.#isWanted = false;
    if (bytes === null) {
      this.push(null);
      // Reports the end even if the application does not read, like Node's own sockets.
      this.read(0);
      return;
    }
    this.#unread -= bytes.length;
    this.bytesRead += bytes.length;
    if (this.#unread < CAPACITY) this.#makeRoom();
    this.push(bytes);
  }

  #makeRoom(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    if (done !== undefined) setImmediate(done);
  }
}

/** @internal Returns the error of one end when the other end, or the way to it, is gone. */
export function resetError(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
}

function toBytes(chunk: Buffer | string, encoding: BufferEncoding): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

/** The largest number of octets in one read, as with a socket of the system. */
const LARGEST_CHUNK = 64 * 1024;
/** The number of unread octets at which a write must wait, like the buffers of the kernels. */
const CAPACITY = 64 * 1024;
