/** Runs the command in this process, and returns its output and its exit code. */
import { fixtureDialer } from '../../../src/cli/fixture/dialer.js';
import { fixtureListener } from '../../../src/cli/fixture/listener.js';
import {
  conformance,
  type ConformanceOptions,
  type DialerStarter,
} from '../../../src/cli/conformance/command.js';
import { interconnect } from '../../../src/cli/interconnect.js';
import type { ConnectOptions, Listener, ListenerOptions } from 'nestjs-interconnect/core';
import { afterTest } from '../after-test.js';
import { tcpAddressOf } from '../peers/connected.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs `interconnect` with these arguments. */
export async function run(...args: string[]): Promise<Ran> {
  let out = '';
  let error = '';
  const code = await interconnect(args, {
    out: (text) => (out += `${text}\n`),
    error: (text) => (error += `${text}\n`),
    env: {},
    end: new AbortController().signal,
  });
  return { code, out, error };
}

/** Runs `conformance --listen 0` against a dialer in this process. */
export function runAgainst(dialer: DialerStarter, ...cases: string[]): Promise<Ran> {
  return runWith(dialer, { cases, timeout: cases.length === 0 ? undefined : '400' });
}

/** As `runAgainst`, with more of the command's options. */
export async function runWith(
  dialer: DialerStarter,
  options: Partial<ConformanceOptions>,
): Promise<Ran> {
  let out = '';
  const code = await conformance(
    {
      positionals: [],
      command: ['in this process'],
      listen: '0',
      groups: [],
      cases: [],
      list: false,
      json: false,
      tls: false,
      ...options,
    },
    { out: (text) => (out += `${text}\n`), error: () => undefined },
    dialer,
  );
  return { code, out, error: '' };
}

/** A dialer under test that runs in this process: the fixture's dialer with these options. */
export function dialerOf(options: Partial<ConnectOptions> = {}, delay?: number): DialerStarter {
  return () => (address) => {
    const end = new AbortController();
    const all = { ...address, ...SOON, ...options, signal: end.signal };
    const dialing = fixtureDialer(all, delay).catch(() => undefined);
    return Promise.resolve({
      ended: new Promise<string>(() => undefined),
      stop: async () => {
        end.abort();
        await (await dialing)?.close();
      },
    });
  };
}

/** A listener of the fixture. It closes at the end of the test. */
export async function ourListener(
  options: ListenerOptions = {},
  delay?: number,
): Promise<Listener> {
  const address = options.path === undefined ? { host: '127.0.0.1', port: 0 } : {};
  const listener = fixtureListener({ ...SOON, ...address, ...options }, delay);
  afterTest(() => listener.close());
  await listener.listen();
  return listener;
}

/** `HOST:PORT` of a listener. */
export function addressText(listener: Listener): string {
  const { host, port } = tcpAddressOf(listener);
  return `${host}:${port}`;
}

/** The lines about cases that did not pass. Without them, all cases have passed. */
export function failuresIn(out: string): string[] {
  return out.split('\n').filter((line) => /✗|expected:|actual:/.test(line));
}

/** Shorter than the fixture's own timeouts, so that a case waits less. */
const SOON = { handshakeTimeout: 1000, idleTimeout: 2000 };
