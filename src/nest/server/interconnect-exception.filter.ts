import { Catch, HttpException } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { BaseRpcExceptionFilter } from '@nestjs/microservices';
import { throwError } from 'rxjs';
import { rejectionWithDetails } from '../common/interconnect.exception.js';

/** The first code of an application's own. */
const FIRST_CODE = 0x8000;

/**
 * Tells the caller what an `HttpException` says, a validation pipe's included, instead of Nest's "Internal server
 * error": its code is 0x8000 plus the HTTP status (`0x8190` for 400), its reason the message, and `getError()`
 * what `getResponse()` gave: `{ statusCode, message: ['name must be a string'], error: 'Bad Request' }`. All
 * other errors are treated as Nest treats them.
 *
 * `app.useGlobalFilters(new InterconnectExceptionFilter())`, `@UseFilters(InterconnectExceptionFilter)`, or
 * `InterconnectModule.forRoot({ …, mapHttpExceptions: true })`. In a hybrid application HTTP requests get the
 * answer that they would get without it.
 */
@Catch()
export class InterconnectExceptionFilter extends BaseExceptionFilter implements ExceptionFilter {
  private readonly rpcFilter = new BaseRpcExceptionFilter();

  override catch(exception: unknown, host: ArgumentsHost): unknown {
    if (host.getType() === 'http') {
      super.catch(exception, host);
      return undefined;
    }
    if (host.getType() !== 'rpc') throw exception;
    if (!isHttpException(exception)) return this.rpcFilter.catch(exception, host);
    return throwError(() => toRejection(exception));
  }
}

/** By its methods as well: of another copy of Nest it is no `instanceof`. */
function isHttpException(exception: unknown): exception is HttpException {
  if (exception instanceof HttpException) return true;
  return (
    exception instanceof Error &&
    'getStatus' in exception &&
    typeof exception.getStatus === 'function' &&
    'getResponse' in exception &&
    typeof exception.getResponse === 'function'
  );
}

function toRejection(exception: HttpException): object {
  const status = exception.getStatus();
  const response = exception.getResponse();
  const details =
    typeof response === 'string' ? { statusCode: status, message: response } : response;
  return rejectionWithDetails(FIRST_CODE + status, exception.message, details);
}
