/** The failures that tell the application why a socket, a handshake or a connection has ended. */
import {
  Code,
  printable,
  type ProtocolError,
  type SpeakerKind,
  type StrangerError,
} from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import { STALL_TIMEOUT } from './stall-watch.js';
import { saidAs } from '../common/text.js';

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

/** `open`: whether there was a connection. */
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

/** The thread was out of memory, and the connection held most of it; no socket carried the connection. */
export function overloadedBy({ code, message }: ProtocolError): Failure {
  return { kind: 'connection-lost', executed: 'maybe', message, code, reason: message };
}

/** The other side does not speak this protocol. `role`: the role of this side. */
export function estranged(
  { message, speaker }: StrangerError,
  role: 'dialer' | 'listener',
): Failure {
  const { kind, name } = speaker;
  const fault = message.replace(/^O/, 'o').replace(/\.$/, '');
  const what = kind === 'unknown' ? fault : `this looks like ${name}`;
  const remedies = role === 'dialer' ? DIALER_REMEDIES : LISTENER_REMEDIES;
  const remedy = remedies[kind] ?? remedies.unknown;
  return {
    kind: 'protocol',
    executed: 'no',
    message: `The other side does not speak Interconnect: ${what}. ${remedy}`,
    code: Code.PROTOCOL,
    speaker,
  };
}

type Remedies = Readonly<Partial<Record<SpeakerKind, string>> & { unknown: string }>;

const DIALER_REMEDIES: Remedies = {
  unknown: 'Check host and port.',
  tls: 'If it is an Interconnect listener with TLS, set tls (in Nest: tlsOptions).',
};

const BALANCER_REMEDY = 'If a balancer of yours sends it, set proxyProtocol.';

const LISTENER_REMEDIES: Remedies = {
  unknown: 'Find out who connects to this port.',
  'proxy-v1': BALANCER_REMEDY,
  'proxy-v2': BALANCER_REMEDY,
  tls: 'Set tls (in Nest: tlsOptions) at this side, or leave it out at the other side.',
  http: 'Point it to another port. A health check may open a TCP connection and close it.',
  'nest-tcp': 'Give that application an InterconnectClient.',
};

export function handshakeTooLong(
  handshakeTimeout: number,
  awaited: NonNullable<Failure['awaited']>,
): Failure {
  return {
    kind: 'handshake-timeout',
    executed: 'no',
    awaited,
    message: `The handshake took longer than ${handshakeTimeout} ms.`,
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
