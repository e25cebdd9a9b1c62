/** The failures that tell the application why a session is over. */
import { Code, type Meta, quote } from '../../wire/index.js';
import { DRAINING, type Failure } from '../common/failure.js';
import { saidAs } from '../common/text.js';

/** This side has ended the session. */
export const ENDED: Failure = {
  kind: 'session-closed',
  executed: 'no',
  message: 'The session was closed.',
};

/** The session's time was over before OPEN was written: the other side allows `limit` sessions, and all were in use. */
export function noPlace(name: string, limit: number): Failure {
  return {
    kind: 'session-timeout',
    executed: 'no',
    message:
      `The session ${quote(name, 256)} was not opened in time: the other side allows ${limit} sessions at once (its maxSessions), ` +
      `and none of them has ended. Close sessions that are not needed, or raise maxSessions there.`,
  };
}

/** OPEN was written, and the acceptor has not decided in time. */
export function undecided(name: string): Failure {
  return {
    kind: 'session-timeout',
    executed: 'maybe',
    message: `The session ${quote(name, 256)} was neither accepted nor rejected in time.`,
  };
}

/** The other side has answered OPEN with END. */
export function refused(name: string, code: number, meta: Meta, data: Buffer): Failure {
  if (code === Code.DRAINING) return { ...DRAINING, code };
  const reason = meta.text ?? '';
  return {
    kind: code === Code.SESSION_TIMEOUT ? 'session-timeout' : 'session-rejected',
    executed: 'no',
    message: `The session ${quote(name, 256)} was rejected: ${saidAs(code, reason)}.`,
    code,
    reason,
    data,
  };
}

/** The other side has aborted a session: it has sent END with a code other than 0. */
export function aborted(code: number, meta: Meta, data: Buffer): Failure {
  const reason = meta.text ?? '';
  return {
    kind: 'session-closed',
    executed: 'maybe',
    message: `The other side ended the session: ${saidAs(code, reason)}.`,
    code,
    reason,
    data,
  };
}
