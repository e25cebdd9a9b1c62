/** Reports on sockets without a connection, for reasons that interest an operator. */
import type { SpeakerKind } from '../../wire/index.js';

/**
 * The fault of a socket:
 *
 * | kind | |
 * | --- | --- |
 * | `'proxy-v1'`, `'tls'`, `'http'`, … | it spoke another protocol: this one, as far as its first octets tell |
 * | `'interconnect'` | it spoke Interconnect without TLS, and this port takes TLS |
 * | `'unknown'` | it spoke a protocol that is not known here |
 * | `'no-proxy-header'` | it began with none, though the option `proxyProtocol` asks for one |
 * | `'bad-proxy-header'` | it began with one that breaks a rule or is too long |
 * | `'unfinished'` | it began to speak, and had not finished its handshake at `handshakeTimeout` |
 */
export type StrangerKind = SpeakerKind | 'no-proxy-header' | 'bad-proxy-header' | 'unfinished';

/** A socket that was ended before there was a connection, because of its peer's octets. */
export interface Stranger {
  /** The kind of fault. */
  readonly kind: StrangerKind;
  /** The peer's IP address; `undefined` at a Unix socket. If a PROXY header named an address, that one. */
  readonly address: string | undefined;
  /** Its TCP port, if there is one. */
  readonly port: number | undefined;
  /** The peer's fault and the remedy, in sentences for the log. The address is not part of them. */
  readonly message: string;
}

/** A socket that was closed on arrival, because `maxConnections` others are open. */
export interface DroppedSocket {
  /** Its IP address; `undefined` at a Unix socket. */
  readonly address: string | undefined;
  /** Its TCP port, if there is one. */
  readonly port: number | undefined;
}
