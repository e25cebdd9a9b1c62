/**
 * A socket in memory, as a `Driver` uses it, and the network between its two ends. Written octets wait first in the
 * process, then in the kernel and the network, and then until they are read. The network can drop the end of them at
 * any octet. One end, both ends, or for a time neither end notices.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { VirtualTime } from './virtual-time.js';

/** The behaviour of a network. */
export interface Network {
  /** Milliseconds that the next octets need to arrive. */
  latency(): number;
  /** The number of octets that one read takes, given the available octets. */
  chunk(available: number): number;
  /** Octets that the kernels of both ends take before the writer must wait. */
  readonly capacity: number;
  /** Octets that may wait in the process. A driver does not write more at once. */
  readonly room: number;
  /** Whether the kernel takes octets before `write` returns. */
  readonly takesAtOnce: boolean;
}

/** One direction of a socket. */
class Way {
  /** Octets that the process has written and the kernel has not taken. They are not copied. */
  unsent: Buffer[] = [];
  unsentOctets = 0;
  /** Octets on their way, in order. An entry without octets is the end of the stream or its reset. */
  flight: { bytes: Buffer; at: number; readonly end: 'fin' | 'reset' | undefined }[] = [];
  /** Octets that have arrived and are not read. */
  unread: Buffer[] = [];
  /** Octets on their way or unread. */
  held = 0;
  /** Octets that were read. */
  delivered = 0;
  /** The socket is cut when this number of octets was read. */
  cutAt = Infinity;
  isArriving = false;
  lastAt = 0;
}

export class VirtualSocket extends EventEmitter {
  destroyed = false;
  writableEnded = false;
  errored: Error | undefined;
  /** Called with the written octets, in order. */
  onWritten: ((chunk: Buffer) => void) | undefined;
  readonly #link: VirtualLink;
  readonly #side: 0 | 1;
  #corked = 0;
  #needsDrain = false;
  #isReading = true;
  #isPaused = false;
  #isBlocked = false;
  #finSent = false;
  #finSeen = false;

  constructor(link: VirtualLink, side: 0 | 1) {
    super();
    this.#link = link;
    this.#side = side;
  }

  /** The socket with the type that a driver expects. */
  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  /**
   * Octets that wait in the process. With a network that lets few octets wait, the number is higher than the real
   * one.
   */
  get writableLength(): number {
    const room = this.#isBlocked ? 0 : this.#link.network.room;
    const { unsentOctets } = this.#out;
    return room === Infinity ? unsentOctets : DRIVER_ROOM - room + unsentOctets;
  }

  /** Whether the kernel takes no octets at present. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  setBlocked(isBlocked: boolean): void {
    this.#isBlocked = isBlocked;
    if (isBlocked) this.#needsDrain = true;
    else this.take();
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Whether a driver has ever used the socket. */
  get isUsed(): boolean {
    return this.eventNames().length > 0;
  }

  setNoDelay(): void {
    // The virtual network never delays small writes.
  }

  cork(): void {
    this.#corked += 1;
  }

  uncork(): void {
    this.#corked -= 1;
    if (this.#corked === 0) this.#take();
  }

  write(chunk: Buffer): void {
    if (this.destroyed || this.writableEnded) throw new Error('A write after the end.');
    this.onWritten?.(chunk);
    const way = this.#out;
    way.unsent.push(chunk);
    way.unsentOctets += chunk.length;
    if (this.writableLength >= HIGH_WATER_MARK) this.#needsDrain = true;
    if (this.#corked === 0) this.#take();
  }

  end(): void {
    if (this.destroyed || this.writableEnded) return;
    this.writableEnded = true;
    this.#finish();
  }

  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.#out.unsent = [];
    this.#out.unsentOctets = 0;
    // The other side, if it is still there, gets a reset after the octets on their way.
    if (!(this.#finSent && this.#finSeen)) this.#link.send(this.#side, EMPTY, 'reset');
    this.#close(error);
  }

  /** The driver takes no octets for now. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#link.time.after(0, () => this.read());
  }

  /** Stops or resumes the reads of the application. */
  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    if (isReading) this.read();
  }

  /** The network tells this end that the other end is gone. */
  reset(): void {
    if (!this.destroyed) this.#close(new Error('read ECONNRESET'));
  }

  /** The kernel takes as many octets as it has room for. */
  take(): void {
    const way = this.#out;
    const { network, isCut } = this.#link;
    if (this.destroyed || isCut || this.#isBlocked) return;
    let room = network.capacity - way.held;
    while (room > 0 && way.unsent.length > 0) {
      const chunk = way.unsent[0]!;
      const part = Buffer.from(chunk.subarray(0, room));
      room -= part.length;
      way.unsentOctets -= part.length;
      if (part.length === chunk.length) way.unsent.shift();
      else way.unsent[0] = chunk.subarray(part.length);
      this.#link.send(this.#side, part, undefined);
    }
    if (way.unsentOctets > 0) return;
    if (this.#needsDrain) {
      this.#needsDrain = false;
      this.#link.time.tick(() => this.emit('drain'));
    }
    this.#finish();
  }

  /** Reads the octets that have arrived, in chunks. Each chunk has a tick of its own. */
  read(): void {
    const way = this.#link.way(1 - this.#side);
    while (way.unread.length > 0 && this.#isReading && !this.#isPaused && !this.destroyed) {
      const bytes = way.unread.length === 1 ? way.unread[0]! : Buffer.concat(way.unread);
      const most = Math.min(bytes.length, way.cutAt - way.delivered);
      const size = Math.min(most, Math.max(1, this.#link.network.chunk(bytes.length)));
      way.unread = size < bytes.length ? [bytes.subarray(size)] : [];
      way.held -= size;
      way.delivered += size;
      if (size > 0) this.emit('data', bytes.subarray(0, size));
      this.#link.time.endTick();
      if (way.delivered >= way.cutAt)
        return this.#link.cut(NOTHING_KEPT, 0, 0, this.#link.listenerNotices);
      // As kernels do, take further octets only when half of the room is free.
      if (way.held * 2 <= this.#link.network.capacity) this.#link.socket(1 - this.#side).take();
    }
    this.#link.arrive(1 - this.#side);
  }

  onFin(): void {
    if (this.#finSeen || this.destroyed) return;
    this.#finSeen = true;
    this.emit('end');
    this.#closeIfDone();
  }

  get #out(): Way {
    return this.#link.way(this.#side);
  }

  #take(): void {
    if (this.#link.network.takesAtOnce) this.take();
    else this.#link.time.after(0, () => this.take());
  }

  #finish(): void {
    if (!this.writableEnded || this.#finSent || this.#out.unsentOctets > 0) return;
    this.#finSent = true;
    this.#link.send(this.#side, EMPTY, 'fin');
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#finSent && this.#finSeen && !this.destroyed) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    this.destroyed = true;
    this.errored = error;
    this.#link.time.tick(() => {
      if (error !== undefined && this.isUsed) this.emit('error', error);
      this.emit('close');
    });
  }
}

/** Two sockets and the network between them. 0: the dialer's end. 1: the listener's end. */
export class VirtualLink {
  readonly time: VirtualTime;
  readonly network: Network;
  isCut = false;
  /** Milliseconds until the listener notices a cut of `cutAfter`. `undefined` means never. */
  listenerNotices: number | undefined = 0;
  readonly #ways = [new Way(), new Way()] as const;
  readonly #sockets: readonly [VirtualSocket, VirtualSocket];

  constructor(time: VirtualTime, network: Network) {
    this.time = time;
    this.network = network;
    this.#sockets = [new VirtualSocket(this, 0), new VirtualSocket(this, 1)];
  }

  socket(side: number): VirtualSocket {
    return this.#sockets[side as 0 | 1];
  }

  /** The octets that the socket of this side has written. */
  way(side: number): Way {
    return this.#ways[side as 0 | 1];
  }

  /** Octets of this side that are on their way, or have arrived and are not read. */
  held(side: number): number {
    return this.way(side).held;
  }

  /** Octets of this side that the other side has read. */
  delivered(side: number): number {
    return this.way(side).delivered;
  }

  /** Cuts the socket for both sides when the other side has read this number of octets of this side. */
  cutAfter(side: number, octets: number): void {
    this.way(side).cutAt = octets;
  }

  /**
   * Cuts the link. By direction, only the first `kept` octets on their way still arrive, `late` milliseconds later
   * than without the cut. Each end notices after its number of milliseconds. `undefined` means never.
   */
  cut(
    kept: readonly [number, number],
    late: number,
    dialerNotices: number | undefined,
    listenerNotices: number | undefined,
  ): void {
    if (this.isCut) return;
    this.isCut = true;
    for (const side of [0, 1] as const) {
      const way = this.#ways[side];
      let left = kept[side];
      way.unread = way.unread.map((bytes) => keep(bytes)).filter(({ length }) => length > 0);
      for (const segment of way.flight) {
        segment.bytes = keep(segment.bytes);
        segment.at += late;
      }
      way.flight = way.flight.filter(({ bytes }) => bytes.length > 0);
      way.held = sizeOf(way.unread) + sizeOf(way.flight.map(({ bytes }) => bytes));
      function keep(bytes: Buffer): Buffer {
        const part = bytes.subarray(0, left);
        left -= part.length;
        return part;
      }
    }
    for (const [side, delay] of [dialerNotices, listenerNotices].entries()) {
      if (delay !== undefined) this.time.after(delay, () => this.socket(side).reset());
    }
  }

  /** Puts octets, or the end of the stream, on their way. */
  send(side: number, bytes: Buffer, end: 'fin' | 'reset' | undefined): void {
    if (this.isCut) return;
    const way = this.way(side);
    way.held += bytes.length;
    way.lastAt = Math.max(way.lastAt, this.time.now() + this.network.latency());
    way.flight.push({ bytes, at: way.lastAt, end });
    this.arrive(side);
  }

  /** Delivers the first entry on its way when it is due. */
  arrive(side: number): void {
    const way = this.way(side);
    const [first] = way.flight;
    if (way.isArriving || first === undefined) return;
    way.isArriving = true;
    this.time.after(Math.max(0, first.at - this.time.now()), () => {
      way.isArriving = false;
      this.#onArrived(side);
    });
  }

  #onArrived(side: number): void {
    const way = this.way(side);
    const [first] = way.flight;
    const reader = this.socket(1 - side);
    if (first === undefined) return;
    // A cut may have delayed the entry. The tolerance covers rounding of sums of times.
    if (first.at > this.time.now() + 0.001) return this.arrive(side);
    // The end of the stream comes after all unread octets.
    if (first.end !== undefined && way.unread.length > 0 && !reader.destroyed) return;
    way.flight.shift();
    if (first.end === 'fin') reader.onFin();
    else if (first.end === 'reset') reader.reset();
    else if (reader.destroyed) way.held -= first.bytes.length;
    else way.unread.push(first.bytes);
    reader.read();
    this.arrive(side);
  }
}

function sizeOf(chunks: readonly Buffer[]): number {
  return chunks.reduce((size, { length }) => size + length, 0);
}

const NOTHING_KEPT = [0, 0] as const;
const EMPTY = Buffer.alloc(0);
/** Octets that a driver lets wait in its socket. */
const DRIVER_ROOM = 256 * 1024;
const HIGH_WATER_MARK = 64 * 1024;
