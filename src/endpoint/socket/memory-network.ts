/** A network within this process: what connects and listens through it takes no port and no file. */
import { Server, Socket } from 'node:net';
import { MemorySocket, resetError } from './memory-socket.js';
import type { Network } from '../common/network.js';
import { clearInterval, nextTick, setImmediate, setInterval } from '../common/runtime.js';

/**
 * For tests: `new Listener({ network })` and `connect({ network })`, `new InterconnectServer({ network })` and
 * `new InterconnectClient({ network })` meet on it, and on no other. One listener at a time; it belongs to one thread.
 * While somebody listens, or a socket is open, the process goes on, as with sockets of the system.
 */
export class MemoryNetwork implements Network {
  /** Unique in this thread. */
  readonly address: string = `memory-${++count}`;
  readonly #open = new Set<Server | Socket>();
  #listening: MemoryServer | undefined;
  #stopTimer: (() => void) | undefined;

  /** Fails with ECONNREFUSED where nobody listens. */
  connect(): Socket {
    const socket = new MemorySocket();
    this.#keep(socket);
    socket.connecting = true;
    setImmediate(() => {
      if (socket.destroyed) return;
      const server = this.#listening;
      if (server === undefined) return void socket.destroy(this.#error('connect', 'ECONNREFUSED'));
      socket.connecting = false;
      this.#keep(socket.peer);
      server.accept(socket.peer);
      socket.emit('connect');
      socket.emit('ready');
      // As Node's own do: an end is noticed by who reads nothing, too.
      for (const end of [socket, socket.peer]) if (!end.isPaused()) end.read(0);
    });
    return socket;
  }

  createServer(onSocket: (socket: Socket) => void): Server {
    return new MemoryServer(this, onSocket);
  }

  /** Cuts every socket: both ends fail with ECONNRESET, and what was on its way is lost. Who listens goes on. */
  cut(): void {
    for (const each of this.#open) if (each instanceof Socket) each.destroy(resetError());
  }

  /** @internal Gives the reason for which it cannot. */
  bind(server: MemoryServer): Error | undefined {
    if (this.#listening !== undefined) return this.#error('listen', 'EADDRINUSE');
    this.#listening = server;
    this.#keep(server);
    return undefined;
  }

  /** @internal */
  unbind(server: MemoryServer): void {
    if (this.#listening === server) this.#listening = undefined;
  }

  #keep(open: Server | Socket): void {
    this.#open.add(open);
    this.#stopTimer ??= keepAlive();
    open.once('close', () => {
      this.#open.delete(open);
      if (this.#open.size > 0) return;
      this.#stopTimer?.();
      this.#stopTimer = undefined;
    });
  }

  #error(syscall: string, code: string): Error {
    const { address } = this;
    return Object.assign(new Error(`${syscall} ${code} ${address}`), { code, syscall, address });
  }
}

/** A `net.Server` without a handle: all that would ask for one is overridden. */
class MemoryServer extends Server {
  override listening = false;
  readonly #network: MemoryNetwork;
  readonly #sockets = new Set<Socket>();

  constructor(network: MemoryNetwork, onSocket: (socket: Socket) => void) {
    super(onSocket);
    this.#network = network;
  }

  override listen(...args: unknown[]): this {
    const callback = args.find((arg) => typeof arg === 'function');
    if (callback !== undefined)
      this.once('listening', () => void Reflect.apply(callback, this, []));
    const error = this.#network.bind(this);
    this.listening = error === undefined;
    nextTick(() => {
      if (error !== undefined) this.emit('error', error);
      else if (this.listening) this.emit('listening');
    });
    return this;
  }

  override address(): string | null {
    return this.listening ? this.#network.address : null;
  }

  /** Takes no more, and calls back when the last of its sockets is gone. */
  override close(callback?: (error?: Error) => void): this {
    if (callback !== undefined) this.once('close', () => callback());
    this.#network.unbind(this);
    this.listening = false;
    this.#closeIfDrained();
    return this;
  }

  override getConnections(callback: (error: Error | null, count: number) => void): this {
    nextTick(() => callback(null, this.#sockets.size));
    return this;
  }

  accept(socket: Socket): void {
    // Undefined, until somebody sets it.
    if (this.#sockets.size >= this.maxConnections) return void socket.destroy();
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (!this.listening) this.#closeIfDrained();
    });
    this.emit('connection', socket);
  }

  #closeIfDrained(): void {
    if (this.#sockets.size === 0) nextTick(() => this.emit('close'));
  }
}

/** Until the returned function is called, the process does not end by itself. */
function keepAlive(): () => void {
  const timer = setInterval(() => undefined, 2 ** 31 - 1);
  return () => clearInterval(timer);
}

let count = 0;
