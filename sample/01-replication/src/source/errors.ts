/** The failures of a single entry: their descriptions, and whether another attempt could help. */
import { InterconnectException, isInterconnectError, type ErrorCode } from 'nestjs-interconnect';
import { Reject } from '../shared/messages.js';
import { describeSystemError, isSystemError } from '../shared/system-error.js';

/** The file changed during the transfer. The bytes that were read are useless. */
export class ChangedError extends Error {
  override readonly name = 'ChangedError';

  constructor() {
    super('it changed while it was read');
  }
}

/** Rejections that another attempt would get again. */
const FINAL: ReadonlySet<number> = new Set([
  Reject.Storage,
  Reject.DiskFull,
  Reject.PathRefused,
  Reject.Conflict,
  Reject.Malformed,
]);

/** Failures of one message. An error with another code means that the replica is out of reach. */
const OF_ONE_MESSAGE: ReadonlySet<ErrorCode> = new Set([
  'IC_ERR_TIMEOUT',
  'IC_ERR_CANCELLED',
  'IC_ERR_QUEUE_FULL',
  'IC_ERR_TOO_LARGE',
  'IC_ERR_OPTION',
]);

export function isWorthAnotherAttempt(error: unknown): boolean {
  if (error instanceof InterconnectException) return !FINAL.has(error.code);
  return error instanceof ChangedError || isInterconnectError(error);
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof InterconnectException && error.code === Reject.DiskFull;
}

/** Whether the replica is out of reach. The whole run then ends. */
export function endsTheRun(error: unknown): boolean {
  return isInterconnectError(error) && !OF_ONE_MESSAGE.has(error.code);
}

/** The description of a failure. The report prints it after the name of the entry. */
export function explain(error: unknown): string {
  if (error instanceof InterconnectException) return `rejected by the replica: ${error.reason}`;
  if (!isSystemError(error)) return error instanceof Error ? error.message : String(error);
  if (error.code === 'ENOENT') return 'it vanished before it was read to its end';
  return `it cannot be read (${describeSystemError(error)})`;
}
