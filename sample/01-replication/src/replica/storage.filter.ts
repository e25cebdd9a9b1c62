/**
 * When the file system refuses, the source is told so in words, with a code of its own: a full disk
 * is news for whoever sent the file. Every other error goes the way it would go without this filter.
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
    const reason = WORDS[error.code] ?? `the file system refuses: ${describeSystemError(error)}`;
    return super.catch(new InterconnectException(code, reason), host);
  }
}
