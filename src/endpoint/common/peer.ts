/** Who is on the other side of a connection. */
import { isIP, type Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';

/** Who is on the other side, as far as the socket and the handshake tell. */
export interface Peer {
  /** What the other side calls itself; nobody has verified it. */
  readonly agent: string;
  /**
   * IP address, the path of a Unix socket, or the address of a network that was given. At a listener with
   * `proxyProtocol`: the address that the balancer's header named.
   */
  readonly address: string;
  /** Its TCP port, if there is one. */
  readonly port: number | undefined;
  /** Whether the socket is TLS. */
  readonly encrypted: boolean;
  /** Whether its certificate was verified. */
  readonly authorized: boolean;
  /** Its certificate, where TLS asked for one. */
  readonly certificate: PeerCertificate | undefined;
}

/** @internal Where a peer is, as its socket or a PROXY header tells. */
export interface PeerSource {
  readonly address: string | undefined;
  readonly port: number | undefined;
}

/** @internal `path`: the Unix socket or network that was dialed or listened on. It is the address of who has none. */
export function peerOf(
  socket: Socket,
  agent: string,
  path: string | undefined,
  source: PeerSource = { address: socket.remoteAddress, port: socket.remotePort },
): Peer {
  const { address = path ?? '', port } = source;
  if (!(socket instanceof TLSSocket)) {
    return { agent, address, port, encrypted: false, authorized: false, certificate: undefined };
  }
  const certificate = socket.getPeerCertificate();
  return {
    agent,
    address,
    port,
    encrypted: true,
    authorized: socket.authorized,
    certificate: Object.keys(certificate).length === 0 ? undefined : certificate,
  };
}

/** @internal The name that a TLS dialer expects in the certificate. */
export function serverName(host: string): string | undefined {
  return isIP(host) === 0 ? host : undefined;
}
