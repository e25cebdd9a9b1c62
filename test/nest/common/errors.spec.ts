import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { BadRequestException, Catch, Controller, UseFilters } from '@nestjs/common';
import type { RpcExceptionFilter } from '@nestjs/common';
import { MessagePattern, RpcException } from '@nestjs/microservices';
import { NEVER, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { Listener } from '../../../src/endpoint/index.js';
import {
  Code,
  InterconnectClient,
  InterconnectError,
  InterconnectException,
} from '../../../src/nest/index.js';
import type { TcpAddress } from '../../../src/nest/index.js';
import { failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const DISK_FULL = 0x8001;
const bytes = Buffer.alloc(0);

@Catch()
class LegacyCodeFilter implements RpcExceptionFilter {
  catch(): Observable<never> {
    return throwError(() => ({ legacyCode: 7, key: Buffer.from([1, 2, 3]) }));
  }
}

@Catch()
class TextFilter implements RpcExceptionFilter {
  catch(): Observable<never> {
    return throwError(() => 'just text');
  }
}

@Catch()
class BrokenFilter implements RpcExceptionFilter {
  catch(): Observable<never> {
    throw new Error('secret of the filter');
  }
}

@Controller()
class ErrorsController {
  @MessagePattern('interconnect')
  interconnect(): void {
    throw new InterconnectException(DISK_FULL, 'no room left', Buffer.from([1, 0, 2]));
  }

  @MessagePattern('interconnect without reason')
  withoutReason(): void {
    throw new InterconnectException(Code.REFUSED);
  }

  @MessagePattern('long reason')
  longReason(): void {
    throw new InterconnectException(Code.REFUSED, 'ü'.repeat(2000));
  }

  @MessagePattern('observable error')
  observableError(): Observable<never> {
    return throwError(() => new InterconnectException(DISK_FULL, 'from a stream'));
  }

  @MessagePattern('relayed')
  relayed(): void {
    throw new InterconnectException(Code.NO_SUCH_SESSION, 'the next service has no handler');
  }

  @MessagePattern('rpc text')
  rpcText(): void {
    throw new RpcException('bad offset');
  }

  @MessagePattern('rpc object')
  rpcObject(): void {
    throw new RpcException({ code: 42, message: 'bad hash', expected: Buffer.from([0xff, 0]) });
  }

  @MessagePattern('rpc error')
  rpcError(): void {
    throw new RpcException(new RangeError('inner'));
  }

  @MessagePattern('plain error')
  plainError(): void {
    throw new Error('secret of the handler');
  }

  @MessagePattern('http')
  http(): void {
    throw new BadRequestException('secret of the request');
  }

  @UseFilters(LegacyCodeFilter)
  @MessagePattern('custom filter')
  customFilter(): void {
    throw new Error('seen by the filter only');
  }

  @UseFilters(TextFilter)
  @MessagePattern('text filter')
  textFilter(): void {
    throw new Error('seen by the filter only');
  }

  @UseFilters(BrokenFilter)
  @MessagePattern('broken filter')
  brokenFilter(): void {
    throw new Error('seen by the filter only');
  }

  @MessagePattern('never')
  never(): Observable<never> {
    return NEVER;
  }
}

let loopback: Loopback;
let client: InterconnectClient;

beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [ErrorsController] });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client();
});

function call(pattern: string): Promise<InterconnectException> {
  return failureOf(InterconnectException, client.send(pattern, Buffer.alloc(0)));
}

describe('a thrown InterconnectException', () => {
  it('reaches the caller with code, reason and data', async () => {
    const error = await call('interconnect');

    expect(error).toMatchObject({ code: DISK_FULL, reason: 'no room left', executed: 'yes' });
    expect(error.message).toBe('no room left');
    expect(error.name).toBe('InterconnectException');
    expect(error.data).toEqual(Buffer.from([1, 0, 2]));
    expect(error.getError()).toEqual({
      code: DISK_FULL,
      message: 'no room left',
      data: Buffer.from([1, 0, 2]),
    });
  });

  it('is an RpcException for the caller too', async () => {
    expect(await call('interconnect')).toBeInstanceOf(RpcException);
  });

  it('has a message that names the code when no reason was given', async () => {
    const error = await call('interconnect without reason');

    expect(error).toMatchObject({
      code: Code.REFUSED,
      reason: '',
      data: undefined,
      executed: 'no',
    });
    expect(error.message).toContain('REFUSED (0x0486)');
  });

  it('is the same from an Observable', async () => {
    expect(await call('observable error')).toMatchObject({
      code: DISK_FULL,
      reason: 'from a stream',
    });
  });

  it('arrives with its reason cut to 1024 bytes between two characters', async () => {
    const { reason } = await call('long reason');

    expect(reason).toBe('ü'.repeat(512));
  });

  it("of another service's refusal comes as FAILED and carries the first code along", async () => {
    const error = await call('relayed');

    expect(error).toMatchObject({ code: Code.FAILED, reason: 'the next service has no handler' });
    expect(error.getError()).toEqual({
      code: Code.NO_SUCH_SESSION,
      message: 'the next service has no handler',
    });
  });

  it.each([
    [Code.REFUSED, 'no'],
    [Code.NO_SUCH_SESSION, 'maybe'],
    [Code.BUSY, 'no'],
    [Code.INVALID, 'no'],
    [Code.DEADLINE, 'maybe'],
    [Code.FAILED, 'yes'],
    [Code.REPLY_TOO_LARGE, 'yes'],
    [0x8000, 'yes'],
    [0xbfff, 'yes'],
    [0xc000, 'no'],
    [0xffff, 'no'],
  ])('tells by its code whether the message was processed: %p', (code, executed) => {
    expect(new InterconnectException(code).executed).toBe(executed);
  });

  it.each([0, 1, 42, 404, 500, 0x7fff, 0x10000, -1, 0.5, Number.NaN])(
    'cannot be made with %p, which is no code',
    (code) => {
      expect(() => new InterconnectException(code)).toThrow(RangeError);
    },
  );
});

describe('a thrown RpcException', () => {
  it('gives its text back from getError()', async () => {
    const error = await call('rpc text');

    expect(error).toMatchObject({ code: Code.FAILED, message: 'bad offset' });
    expect(error.getError()).toBe('bad offset');
  });

  it('gives its object back from getError(), Buffers included', async () => {
    const error = await call('rpc object');

    expect(error).toMatchObject({ code: Code.FAILED, message: 'bad hash' });
    expect(error.getError()).toEqual({
      code: 42,
      message: 'bad hash',
      expected: Buffer.from([0xff, 0]),
    });
  });

  it('gives name and message of an Error that it wrapped', async () => {
    const error = await call('rpc error');

    expect(error.message).toBe('inner');
    expect(error.getError()).toEqual({ name: 'RangeError', message: 'inner' });
  });

  it('is not logged: it is the answer', async () => {
    await call('rpc text');

    expect(loopback.log.find('error', 'bad offset')).toEqual([]);
    expect(loopback.log.find('warn', 'rpc text')).toEqual([]);
  });
});

describe('any other error', () => {
  it.each(['plain error', 'http', 'broken filter'])(
    'is "Internal server error" for the caller and nothing more: %s',
    async (pattern) => {
      const error = await call(pattern);

      expect(error).toMatchObject({
        code: Code.FAILED,
        message: 'Internal server error',
        data: undefined,
      });
      expect(JSON.stringify(error.getError())).not.toContain('secret');
    },
  );

  it('is logged by Nest itself when it is a plain Error', async () => {
    await call('plain error');

    expect(loopback.log.find('error', 'secret of the handler')).not.toEqual([]);
  });

  it.each(['plain error', 'http'])('is logged with its pattern: %s', async (pattern) => {
    await call(pattern);

    expect(loopback.log.find('warn', `The handler of "${pattern}" failed`)).not.toEqual([]);
  });

  it('is logged with its own words when it went past every filter', async () => {
    await call('broken filter');

    expect(loopback.log.find('error', 'secret of the filter')).not.toEqual([]);
  });

  it('is what a custom filter makes of it', async () => {
    const error = await call('custom filter');

    expect(error.getError()).toEqual({ legacyCode: 7, key: Buffer.from([1, 2, 3]) });
    expect((await call('text filter')).getError()).toBe('just text');
  });
});

describe('no outcome', () => {
  it("fails with Nest's sentence at once when no handler has the pattern", async () => {
    const error = await call('unknown');

    expect(error.message).toBe(
      'There is no matching message handler defined in the remote service.',
    );
    expect(error).toMatchObject({ code: Code.NO_SUCH_SESSION, executed: 'no' });
    expect(error.cause).toBeInstanceOf(InterconnectError);
  });

  it('is told by the code, whoever refused the session, and in whatever words', async () => {
    const listener = new Listener({ host: '127.0.0.1', port: 0 });
    listener.on('connection', (connection) =>
      connection.on('session', (session) =>
        session.name === 'unknown'
          ? session.reject(Code.NO_SUCH_SESSION, 'in other words')
          : session.reject(0x9001, 'not today', Buffer.from([7])),
      ),
    );
    const { port } = (await listener.listen()) as TcpAddress;
    const caller = new InterconnectClient({ host: '127.0.0.1', port });

    const unknown = await failureOf(InterconnectException, caller.request('unknown', bytes));
    const refused = await failureOf(InterconnectException, caller.request('other', bytes));

    expect(unknown.message).toBe(
      'There is no matching message handler defined in the remote service.',
    );
    expect(unknown.data).toBeUndefined();
    expect(unknown.executed).toBe('no');
    expect(refused).toMatchObject({ code: 0x9001, reason: 'not today', data: Buffer.from([7]) });
    // No handler ran, although a handler's rejection with this code would say that it did.
    expect(refused.executed).toBe('no');
    await caller.close();
    await listener.close();
  });

  it('names the unknown pattern and the known ones in the server log', async () => {
    await call('unknown');

    expect(loopback.log.find('warn', 'No handler for the pattern "unknown"')).not.toEqual([]);
    expect(loopback.log.find('debug', 'rpc text')).not.toEqual([]);
  });

  it('fails with IC_ERR_TIMEOUT when the handler settles neither way in time', async () => {
    const impatient = loopback.client({ messageTimeout: 50 });

    const error = await failureOf(InterconnectError, impatient.send('never', Buffer.alloc(0)));

    expect(error.code).toBe('IC_ERR_TIMEOUT');
    await until(
      () => loopback.log.find('warn', 'The handler of "never" did not settle').length > 0,
    );
  });
});
