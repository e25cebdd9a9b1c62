/** The two interfaces between a socket and the handshake of its role, from the preface to WELCOME. */
import type { FrameView } from '../../wire/index.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { Keepalive } from './keepalive.js';
import type { SocketState } from './socket-state.js';

/** The handshake of one role: greets the other side, and brings the socket to a connection. Only the socket calls it. */
export interface Handshake {
  readonly role: 'dialer' | 'listener';
  /** The socket is open. */
  start(socket: HandshakeContext): void;
  /** The preface of the other side. @throws ProtocolError VERSION if this side does not speak that version. */
  onPreface(version: number, socket: HandshakeContext): void;
  /** A frame other than CLOSE arrived in GREETING. @throws ProtocolError if the role does not await this frame. */
  onFrame(frame: FrameView, socket: HandshakeContext, now: number): void;
}

/** The services of a socket for its handshake. */
export interface HandshakeContext {
  readonly state: SocketState;
  /** Writes the preface, or a whole frame. */
  write(bytes: Buffer): void;
  /** The socket adopts the limits of the connection. Returns the keepalive for these limits. */
  attach(connection: ConnectionMachine, now: number): Keepalive;
  /** Ends the socket in order, before there is a connection on it. */
  close(now: number): void;
  /** Answers HELLO by CLOSE. */
  refuse(code: number, reason: string, data: Buffer): void;
}
