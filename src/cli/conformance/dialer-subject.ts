/** A dialer under test: started anew for every case, and told where to connect to. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { UsageError } from '../usage-error.js';
import { Mismatch } from './mismatch.js';
import { Peer } from './peer.js';
import type { Subject } from './subject.js';
import type { Waits } from './waits.js';

/** A dialer that was started. */
interface StartedDialer {
  /** Resolves with a sentence when it has ended, whatever the reason. */
  readonly ended: Promise<string>;
  /** Ends it, and resolves when it is gone. */
  stop(): Promise<void>;
}

/**
 * Starts the dialer under test.
 * @throws UsageError where it cannot be started at all
 */
export type StartDialer = (address: { host: string; port: number }) => Promise<StartedDialer>;

export interface DialerOptions extends Waits {
  readonly host: string;
  /** 0: another free one for each case, so that cases can run beside each other. */
  readonly port: number;
  readonly start: StartDialer;
}

/** The dialer, for one case. */
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
      // Those that have come meanwhile.
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

/** The dialer's socket, or why there is none. */
function firstOf(accepted: Promise<Socket>, started: StartedDialer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (actual: string): void => {
      clearTimeout(timer);
      reject(new Mismatch('the dialer connects', actual));
    };
    const timer = setTimeout(() => fail(`nobody within ${START_TIMEOUT} ms`), START_TIMEOUT);
    // A case may end without the dialer, and then nothing waits for this timer.
    timer.unref();
    void started.ended.then(fail);
    void accepted.then((socket) => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** A program may take long to start; that is no reaction. */
const START_TIMEOUT = 20_000;
