/**
 * The ceiling: the speed that JavaScript on `node:net` reaches with frames and correlation alone. A frame has a
 * header of 16 bytes (length, id, two unused fields) and a body. All frames of a tick leave in one write. There is no
 * handshake, no limit and no timeout.
 */
import { connect, createServer } from 'node:net';

const HEADER = 16;
const SLAB = 64 * 1024;
/** A larger body goes to the socket without a copy. A smaller body is copied into the slab. */
const INLINE = 8 * 1024;

class RawConnection {
  #socket;
  #onBody;
  /** The bytes from `#start` to `#used` are not written yet. The socket still uses the bytes below `#start`. */
  #slab = Buffer.allocUnsafeSlow(SLAB);
  #start = 0;
  #used = 0;
  #scheduled = false;
  /** The state of an incomplete frame: its header so far, or its id and its body so far. */
  #head = Buffer.alloc(0);
  #body;
  #filled = 0;
  #id = 0;

  constructor(socket, onBody) {
    this.#socket = socket;
    this.#onBody = onBody;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
  }

  send(id, body) {
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => this.#flush());
    }
    const inline = body.length <= INLINE;
    this.#makeRoom(HEADER + (inline ? body.length : 0));
    this.#slab.writeUInt32LE(body.length, this.#used);
    this.#slab.writeUInt32LE(id, this.#used + 4);
    this.#used += HEADER;
    if (inline) {
      this.#slab.set(body, this.#used);
      this.#used += body.length;
    } else {
      this.#writeSlab();
      this.#socket.write(body);
    }
  }

  #makeRoom(size) {
    if (this.#used + size <= SLAB) return;
    this.#writeSlab();
    this.#slab = Buffer.allocUnsafeSlow(SLAB);
    this.#start = this.#used = 0;
  }

  /** Writes the slab before the end of the tick. The socket holds the parts together until `#flush`. */
  #writeSlab() {
    if (this.#socket.writableCorked === 0) this.#socket.cork();
    if (this.#used > this.#start) this.#socket.write(this.#slab.subarray(this.#start, this.#used));
    this.#start = this.#used;
  }

  #flush() {
    const socket = this.#socket;
    this.#scheduled = false;
    if (this.#used > this.#start) socket.write(this.#slab.subarray(this.#start, this.#used));
    if (socket.writableCorked > 0) socket.uncork();
    // If the kernel has taken all bytes, which is the common case, the slab is free again.
    this.#start = this.#used = socket.writableLength === 0 ? 0 : this.#used;
  }

  #read(chunk) {
    let at = 0;
    if (this.#head.length > 0) {
      chunk = Buffer.concat([this.#head, chunk]);
      this.#head = chunk.subarray(0, 0);
    }
    while (at < chunk.length) {
      if (this.#body !== undefined) {
        const copied = chunk.copy(this.#body, this.#filled, at);
        at += copied;
        this.#filled += copied;
        if (this.#filled < this.#body.length) return;
        const body = this.#body;
        this.#body = undefined;
        this.#onBody(this.#id, body);
        continue;
      }
      if (chunk.length - at < HEADER) {
        this.#head = chunk.subarray(at);
        return;
      }
      const length = chunk.readUInt32LE(at);
      this.#id = chunk.readUInt32LE(at + 4);
      at += HEADER;
      if (chunk.length - at >= length) {
        at += length;
        this.#onBody(this.#id, chunk.subarray(at - length, at));
      } else {
        this.#body = Buffer.allocUnsafeSlow(length);
        this.#filled = 0;
      }
    }
  }
}

export function serveRaw() {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const connection = new RawConnection(socket, (id, body) => connection.send(id, body));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}

export function connectRaw(port) {
  const waiting = [];
  const freeIds = [];
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const connection = new RawConnection(socket, (id, body) => {
      freeIds.push(id);
      waiting[id](body);
    });
    const client = {
      send: (payload) =>
        new Promise((settle) => {
          const id = freeIds.pop() ?? waiting.length;
          waiting[id] = settle;
          connection.send(id, payload);
        }),
      read: (body) => body,
      close: () => socket.destroy(),
    };
    socket.once('error', reject);
    socket.once('connect', () => resolve(client));
  });
}
