/**
 * Turns an error of the file system into a rejection with its own code and a reason in words. A
 * full disk has a code of its own, because the source then sends the file again later. All other
 * errors stay as they are.
 */
import { Catch, type ArgumentsHost } from '@nestjs/common';
import { BaseRpcExceptionFilter } from '@nestjs/microservices';
import { InterconnectException } from 'nestjs-interconnect';
import type { Observable } from 'rxjs';
import { Reject } from '../shared/messages.js';
import { describeSystemError, isSystemError } from '../shared/system-error.js';

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full (ENOSPC)',
  EDQUOT: 'the disk quota is used up (EDQUOT)',
  EROFS: 'the disk is read-only (EROFS)',
  ENAMETOOLONG: 'the name is too long for the disk (ENAMETOOLONG)',
};

const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

@Catch()
export class StorageFilter extends BaseRpcExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): Observable<unknown> {
    if (!isSystemError(error)) return super.catch(error, host);
    const code = FULL.has(error.code) ? Reject.DiskFull : Reject.Storage;
    const reason = WORDS[error.code] ?? `the file system reports: ${describeSystemError(error)}`;
    return super.catch(new InterconnectException(code, reason), host);
  }
}
