/** The description of the other side of a connection. */
import { isIP, type Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';

/** The other side, as the socket and the handshake describe it. */
export interface Peer {
  /** The name that the other side gives itself. The name is not verified. */
  readonly agent: string;
  /**
   * The IP address, the path of a Unix socket, or the address of the given network. At a listener with `proxyProtocol`:
   * the address that the balancer's header named.
   */
  readonly address: string;
  /** The other side's TCP port, if there is one. */
  readonly port: number | undefined;
  /** Whether the socket is TLS. */
  readonly encrypted: boolean;
  /** Whether the other side's certificate was verified. */
  readonly authorized: boolean;
  /** The other side's certificate, if TLS asked for one. */
  readonly certificate: PeerCertificate | undefined;
}

/** @internal The address of a peer, from its socket or a PROXY header. */
export interface PeerSource {
  readonly address: string | undefined;
  readonly port: number | undefined;
}

/**
 * @internal Describes the peer of a socket. `path`: the Unix socket or network of the connection, which is the address of
 * a peer that has none itself.
 */
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
