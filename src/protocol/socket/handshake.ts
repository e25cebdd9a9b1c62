/** What a socket and the handshake of its role ask of each other, from the preface to WELCOME. */
import type { FrameView } from '../../wire/index.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { Keepalive } from './keepalive.js';
import type { SocketState } from './socket-state.js';

/** How one role greets the other, and how it comes to a connection. Its machine calls it; nothing else does. */
export interface Handshake {
  readonly role: 'dialer' | 'listener';
  /** The socket is there. */
  start(socket: HandshakeContext): void;
  /** The preface of the other side. @throws ProtocolError VERSION if this side does not speak that version. */
  onPreface(version: number, socket: HandshakeContext): void;
  /** A frame in GREETING, other than CLOSE. @throws ProtocolError if it is not the one that the role awaits. */
  onFrame(frame: FrameView, socket: HandshakeContext, now: number): void;
}

/** What a handshake asks of its socket. */
export interface HandshakeContext {
  readonly state: SocketState;
  /** Writes the preface, or a whole frame. */
  write(bytes: Buffer): void;
  /** The socket takes the limits of the connection for its own. Returns the clock that belongs to them. */
  attach(connection: ConnectionMachine, now: number): Keepalive;
  /** Ends the socket in order, before there is a connection on it. */
  close(now: number): void;
  /** Answers HELLO by CLOSE. */
  refuse(code: number, reason: string, data: Buffer): void;
}
