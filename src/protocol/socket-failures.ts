/** What became of a socket, in words. */
import { Code, printable, type ProtocolError } from '../wire/index.js';
import type { Failure } from './failure.js';
import { STALL_TIMEOUT } from './stall-watch.js';
import { saidAs } from './text.js';

export const CLOSED_HERE: Failure = {
  kind: 'connection-closed',
  executed: 'maybe',
  message: 'This side closed the connection.',
};

export const SUPERSEDED: Failure = {
  kind: 'connection-lost',
  executed: 'maybe',
  message: 'Another socket carries the connection.',
  code: Code.SUPERSEDED,
};

export const UNRESUMABLE: Failure = {
  kind: 'connection-lost',
  executed: 'maybe',
  message: 'The connection was lost: the two sides do not agree on which frames have arrived.',
};

/** `open`: there was a connection. */
export function lostBy(reason: string, open: boolean): Failure {
  return {
    kind: 'connection-lost',
    executed: open ? 'maybe' : 'no',
    message: `The connection was lost: ${printable(reason)}.`,
  };
}

export function closedByPeer(code: number, reason: string, data: Buffer, open: boolean): Failure {
  const kind = code === Code.OK ? 'connection-closed' : 'connection-lost';
  const did = open ? 'closed' : 'rejected';
  return {
    kind: open ? kind : 'connection-rejected',
    executed: open ? 'maybe' : 'no',
    message: `The other side ${did} the connection: ${saidAs(code, reason)}.`,
    code,
    reason,
    data,
  };
}

export function rejectedHere(code: number, reason: string): Failure {
  return {
    kind: 'connection-rejected',
    executed: 'no',
    message: `This side rejected the connection: ${saidAs(code, reason)}.`,
  };
}

export function violated({ code, message }: ProtocolError, open: boolean): Failure {
  return { kind: 'protocol', executed: open ? 'maybe' : 'no', message, code, reason: message };
}

export function handshakeTooLong(milliseconds: number): Failure {
  return {
    kind: 'handshake-timeout',
    executed: 'no',
    message: `The handshake took longer than ${milliseconds} ms.`,
    code: Code.HANDSHAKE_TIMEOUT,
  };
}

export function silentFor(milliseconds: number): Failure {
  return {
    kind: 'idle',
    executed: 'maybe',
    message: `Nothing was heard of the other side for ${milliseconds} ms.`,
    code: Code.IDLE,
  };
}

export function stalled(what: 'output' | 'input'): Failure {
  return {
    kind: 'idle',
    executed: 'maybe',
    message:
      what === 'output'
        ? `The other side has read nothing for ${STALL_TIMEOUT} ms.`
        : `A frame was not complete after ${STALL_TIMEOUT} ms.`,
    code: Code.STALLED,
  };
}

/** Whether a CLOSE of this code ends the connection, and not only the socket. [IC-12.13] [IC-13.1] */
export function endsConnection(code: number): boolean {
  return (
    code < FIRST_LIFECYCLE_CODE ||
    code === Code.UNAUTHENTICATED ||
    code === Code.FORBIDDEN ||
    code >= FIRST_APPLICATION_CODE
  );
}

const FIRST_LIFECYCLE_CODE = 0x0200;
const FIRST_APPLICATION_CODE = 0x8000;
