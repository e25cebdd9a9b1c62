/**
 * A stream within this process. Both its ends are `net.Socket`s without a handle, so that who drives one need not
 * know. What TCP does to its users, it does as well: data comes later and never from within a `write`, it is copied,
 * a writer waits for who does not read, an end leaves the other direction open, and to write to who is gone is an
 * error.
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
  /** What the other end has written, and this one has not read; `null` is its end. */
  readonly #inbox: (Buffer | null)[] = [];
  #unread = 0;
  /** Whether the stream above has asked for more. */
  #isWanted = false;
  #isScheduled = false;
  /** The other end's write, which is done when there is room again. */
  #waiting: Done | undefined;

  /** Without a `peer`, both ends. */
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
    // What the other end sent in vain resets it; else it reads an end.
    if (this.#unread > 0) setImmediate(() => peer.destroy(resetError()));
    else if (!this.writableFinished) peer.#arrive(null);
    this.#inbox.length = 0;
    // Its own write, if that waits; without an error, as Node's own do.
    peer.#makeRoom();
    super._destroy(error, done);
  }

  #arrive(bytes: Buffer | null): void {
    if (this.destroyed) return;
    this.#inbox.push(bytes);
    this.#schedule();
  }

  /** One chunk in each turn of the event loop: between two of them, all that the first brought about has run. */
  #schedule(): void {
    if (this.#isScheduled || !this.#isWanted || this.#inbox.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#isScheduled = false;
    const bytes = this.#inbox.shift();
    // Destroyed meanwhile.
    if (bytes === undefined) return;
    // What takes it asks for the next.
    this.#isWanted = false;
    if (bytes === null) {
      this.push(null);
      // Tells those who read nothing, as Node's own do.
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

/** @internal What one end fails with when the other, or the way to it, is gone. */
export function resetError(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
}

function toBytes(chunk: Buffer | string, encoding: BufferEncoding): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

/** Octets that are read at once, as from a socket of the system. */
const LARGEST_CHUNK = 64 * 1024;
/** Octets that wait at the other end before a write has to wait: what the kernels would hold. */
const CAPACITY = 64 * 1024;
