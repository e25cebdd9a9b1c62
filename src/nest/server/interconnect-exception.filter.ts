import { Catch, HttpException } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { BaseRpcExceptionFilter } from '@nestjs/microservices';
import { throwError } from 'rxjs';
import { FIRST_APPLICATION_CODE } from '../../endpoint/index.js';
import { rejectionWithDetails } from '../common/interconnect.exception.js';

/**
 * Tells the caller the content of an `HttpException`, also of a validation pipe's, instead of Nest's "Internal server
 * error". The rejection's code is 0x8000 plus the HTTP status (`0x8190` for 400), and its reason is the message.
 * `getError()` gives the value of `getResponse()`: `{ statusCode, message: ['name must be a string'], error: 'Bad Request' }`.
 * The filter leaves all other errors to Nest.
 *
 * `app.useGlobalFilters(new InterconnectExceptionFilter())`, `@UseFilters(InterconnectExceptionFilter)`, or
 * `InterconnectModule.forRoot({ …, mapHttpExceptions: true })`. In a hybrid application the filter
 * does not change the responses to HTTP requests.
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

/** Looks at the methods too: an exception of another copy of Nest is not `instanceof` this copy's class. */
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
  return rejectionWithDetails(FIRST_APPLICATION_CODE + status, exception.message, details);
}
