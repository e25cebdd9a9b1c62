/** A dialer under test. The suite starts it anew for each case, and tells it the address to connect to. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { UsageError } from '../usage-error.js';
import { Mismatch } from './mismatch.js';
import { Peer } from './peer.js';
import type { Subject } from './subject.js';
import type { Waits } from './waits.js';

/** A running dialer. */
interface StartedDialer {
  /** Resolves with a sentence when the dialer has ended, for any reason. */
  readonly ended: Promise<string>;
  /** Ends the dialer, and resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * Starts the dialer under test.
 * @throws UsageError if the dialer cannot be started
 */
export type StartDialer = (address: { host: string; port: number }) => Promise<StartedDialer>;

export interface DialerOptions extends Waits {
  readonly host: string;
  /** 0 takes another free port for each case, so that several cases can run at once. */
  readonly port: number;
  readonly start: StartDialer;
}

/** The dialer during one case. */
export function dialerSubject(options: DialerOptions): Subject {
  const sockets: Socket[] = [];
  const waiting: ((socket: Socket) => void)[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
    arrived.push(socket);
    settle();
  });
  const arrived: Socket[] = [];
  let started: StartedDialer | undefined;
  const settle = (): void => {
    while (arrived.length > 0 && waiting.length > 0) {
      const socket = arrived.shift();
      if (socket !== undefined) waiting.shift()?.(socket);
    }
  };
  return {
    role: 'dialer',
    timeout: options.timeout,
    patience: options.patience,
    isEncrypted: false,
    connect: async () => {
      if (started === undefined) {
        const port = await listen(server, options);
        started = await options.start({ host: options.host, port });
      }
      const accepted = new Promise<Socket>((resolve) => waiting.push(resolve));
      settle();
      return new Peer(await firstOf(accepted, started), options);
    },
    dispose: async () => {
      for (const socket of sockets) socket.destroy();
      await started?.stop();
      if (!server.listening) return;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Destroy the sockets that the dialer has opened while it was ending.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function listen(server: Server, { host, port }: DialerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new UsageError(`Cannot listen on ${host}:${port}: ${error.message}.`)),
    );
    server.listen(port, host, () => {
      const address: string | AddressInfo | null = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** The socket of the dialer, or the reason why there is none. */
function firstOf(accepted: Promise<Socket>, started: StartedDialer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (actual: string): void => {
      clearTimeout(timer);
      reject(new Mismatch('the dialer connects', actual));
    };
    const timer = setTimeout(() => fail(`no connection within ${START_TIMEOUT} ms`), START_TIMEOUT);
    // A case may end before the dialer has connected. Nothing then awaits the rejection of this timer.
    timer.unref();
    void started.ended.then(fail);
    void accepted.then((socket) => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/**
 * Milliseconds until a dialer must have connected. A program may start slowly: `--timeout` does not apply to its
 * start.
 */
const START_TIMEOUT = 20_000;
