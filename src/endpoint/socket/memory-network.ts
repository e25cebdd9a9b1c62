/** A network within this process. Its connections and listeners need no port and no file. */
import { Server, Socket } from 'node:net';
import { MemorySocket, resetError } from './memory-socket.js';
import type { Network } from '../common/network.js';
import { clearInterval, nextTick, setImmediate, setInterval } from '../common/runtime.js';

/**
 * For tests: `new Listener({ network })` and `connect({ network })`, or `new InterconnectServer({ network })` and `new
 * InterconnectClient({ network })`, meet on the same network only. A network has one listener at a time, and belongs to
 * one thread. A listener or an open socket keeps the process alive, as with sockets of the system.
 */
export class MemoryNetwork implements Network {
  /** Unique in this thread. */
  readonly address: string = `memory-${++count}`;
  readonly #open = new Set<Server | Socket>();
  #listening: MemoryServer | undefined;
  #stopTimer: (() => void) | undefined;

  /** Returns a socket to the listener. Without a listener, the socket fails with ECONNREFUSED. */
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
      // Like Node's own sockets, a socket notices its end even if the application does not read.
      for (const end of [socket, socket.peer]) if (!end.isPaused()) end.read(0);
    });
    return socket;
  }

  createServer(onSocket: (socket: Socket) => void): Server {
    return new MemoryServer(this, onSocket);
  }

  /** Cuts every socket: both ends fail with ECONNRESET, and data under way is lost. The listener continues. */
  cut(): void {
    for (const each of this.#open) if (each instanceof Socket) each.destroy(resetError());
  }

  /** @internal Binds the server. Returns the error if that is not possible. */
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

/** A `net.Server` without a handle: every method that needs a handle is overridden. */
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

  /** Accepts no more sockets, and calls back when the last of its sockets is gone. */
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
    // `maxConnections` is undefined until the application sets it.
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

/** Keeps the process alive until the returned function is called. */
function keepAlive(): () => void {
  const timer = setInterval(() => undefined, 2 ** 31 - 1);
  return () => clearInterval(timer);
}

let count = 0;
