/** Reports on sockets without a connection, for reasons that interest an operator. */
import type { SpeakerKind } from '../../wire/index.js';
import type { PeerSource } from '../common/peer.js';

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

/**
 * The limit that a socket met:
 *
 * | reason | |
 * | --- | --- |
 * | `'connections'` | `maxConnections` sockets are open, and each has been of use |
 * | `'address'` | `perAddress.connections` sockets of its address are open, and each has been of use |
 * | `'handshakes'` | its address has as many unfinished handshakes as `perAddress.handshakes` allows |
 * | `'rate'` | its address opens sockets faster than `perAddress.handshakesPerMinute` allows |
 * | `'refusals'` | `authenticate` refused its address more often than `perAddress.refusalsPerMinute` allows |
 * | `'displaced'` | it had not finished its handshake, or had no session yet, and a newcomer needed its place |
 */
export type DropReason =
  'connections' | 'address' | 'handshakes' | 'rate' | 'refusals' | 'displaced';

/** A socket that was closed because of a limit on places or rates. */
export interface DroppedSocket {
  /** Its IP address; `undefined` at a Unix socket. If a PROXY header named an address, that one. */
  readonly address: string | undefined;
  /** Its TCP port, if there is one. */
  readonly port: number | undefined;
  /** The limit that it met. */
  readonly reason: DropReason;
  /** The limit and the remedy, in sentences for the log. The address is not part of them. */
  readonly message: string;
}

/** @internal Describes a socket that met a limit. */
export function droppedSocket({ address, port }: PeerSource, reason: DropReason): DroppedSocket {
  return { address, port, reason, message: MESSAGES[reason] };
}

const BALANCER =
  'If these are many peers behind one balancer, set proxyProtocol or perAddress.groupOf.';
const MESSAGES: Readonly<Record<DropReason, string>> = {
  connections:
    'As many sockets are open as maxConnections allows. Raise it, or find out who holds them.',
  address: `Its address has as many connections as perAddress.connections allows. ${BALANCER}`,
  handshakes: `Its address has as many unfinished handshakes as perAddress.handshakes allows. ${BALANCER}`,
  rate: `Its address connects faster than perAddress.handshakesPerMinute allows. ${BALANCER}`,
  refusals:
    'authenticate has refused its address more often than perAddress.refusalsPerMinute allows. Find out who guesses.',
  displaced:
    'No place was left, and it had not finished its handshake or had no session yet. Raise maxConnections, or find ' +
    'out who holds the places.',
};
