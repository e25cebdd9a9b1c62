/**
 * A proxy before a correct listener. The proxy changes single frames, so that the listener seems to break one rule.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Listener } from 'nestjs-interconnect/core';
import { afterTest } from '../after-test.js';
import { tcpAddressOf } from '../peers/connected.js';

/** Returns the frames that the dialer gets in place of a frame of the listener. */
export type Tamper = (frame: Buffer) => readonly Buffer[];

export interface TamperOptions {
  readonly tamper: Tamper;
  /** Whether the proxy hides the end of the listener's stream from the dialer. */
  readonly neverEnds?: boolean;
}

/** Starts the proxy before a listener, and resolves with the `HOST:PORT` of the proxy. */
export async function tampering(listener: Listener, options: TamperOptions): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const { host, port } = tcpAddressOf(listener);
    const upstream = connect({ host, port, allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (chunk: Buffer) => upstream.write(chunk));
    client.on('end', () => upstream.end());
    client.on('close', () => upstream.destroy());
    forward(upstream, client, options);
  });
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function forward(upstream: Socket, client: Socket, { tamper, neverEnds }: TamperOptions): void {
  let pending = Buffer.alloc(0);
  let isBegun = false;
  upstream.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    if (!isBegun && pending.length >= PREFACE) {
      isBegun = true;
      client.write(pending.subarray(0, PREFACE));
      pending = pending.subarray(PREFACE);
    }
    if (!isBegun) return;
    while (pending.length >= HEADER) {
      const length = HEADER + pending.readUInt32BE(4);
      if (pending.length < length) return;
      for (const each of tamper(Buffer.from(pending.subarray(0, length)))) client.write(each);
      pending = pending.subarray(length);
    }
  });
  upstream.on('end', () => {
    if (neverEnds !== true) client.end();
  });
}

const PREFACE = 8;
const HEADER = 16;
