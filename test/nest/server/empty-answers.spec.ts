/** An answer without a value, and an answer with one empty value: callers can tell one from the other. */
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Injectable,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import type {
  CallHandler,
  CanActivate,
  ExceptionFilter,
  ExecutionContext,
  NestInterceptor,
} from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import type { Deserializer, Serializer } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { FakeInterconnectClient, InterconnectPair } from 'nestjs-interconnect/testing';
import { Readable } from 'node:stream';
import {
  EMPTY,
  Observable,
  Subject,
  defaultIfEmpty,
  filter,
  firstValueFrom,
  from,
  ignoreElements,
  map,
  of,
} from 'rxjs';
import { InterconnectContext, InterconnectRecordBuilder } from '../../../src/nest/index.js';
import type { InterconnectClient, InterconnectPayloadOptions } from '../../../src/nest/index.js';
import { all, failure } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const EMPTY_VALUE = Buffer.alloc(0);

async function* nothing(): AsyncGenerator<Buffer> {
  // No value.
}

async function* nothingLater(): AsyncGenerator<Buffer> {
  await new Promise((resolve) => setImmediate(resolve));
  yield* nothing();
}

/** Ends a turn of the event loop later. */
function endingLater(values: readonly Buffer[]): Observable<Buffer> {
  const subject = new Subject<Buffer>();
  setImmediate(() => {
    for (const value of values) subject.next(value);
    setImmediate(() => subject.complete());
  });
  return subject;
}

/** What handlers give that is a stream without a value. */
const WITHOUT_A_VALUE: Readonly<Record<string, () => unknown>> = {
  EMPTY: () => EMPTY,
  'a Promise of EMPTY': async () => EMPTY,
  'an Observable that ends later': () => endingLater([]),
  'an Observable that lets nothing through': () => of(1, 2, 3).pipe(filter(() => false)),
  'an empty from()': () => from([]),
  'an empty generator': () => nothing(),
  'a Promise of an empty generator': async () => nothing(),
  'an empty generator that waits': () => nothingLater(),
  'an Observable of an empty generator': () => of(nothing()),
  'an empty Readable': () => Readable.from([]),
  'a Readable that ends later': () => {
    const readable = new Readable({ read: () => undefined });
    setImmediate(() => readable.push(null));
    return readable;
  },
  'a record of an empty stream': () =>
    new InterconnectRecordBuilder(nothing()).setMetadata({ rows: '0' }).build(),
};

/** What handlers give that is one value, and an empty one. */
const ONE_EMPTY_VALUE: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  'a Promise of undefined': async () => undefined,
  'of(undefined)': () => of(undefined),
  'an Observable that ends after an undefined': () =>
    endingLater([EMPTY_VALUE]).pipe(map(() => undefined)),
};

const PATTERNS = [...Object.keys(WITHOUT_A_VALUE), ...Object.keys(ONE_EMPTY_VALUE)];

@Injectable()
class Silences implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(ignoreElements());
  }
}

@Injectable()
class Untouched implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Injectable()
class Fills implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(defaultIfEmpty(Buffer.from('none')));
  }
}

@Injectable()
class Denies implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Catch()
class Swallows implements ExceptionFilter {
  catch(): Observable<never> {
    return EMPTY;
  }
}

@Controller()
class AnswersController {
  @MessagePattern(PATTERNS)
  answer(@Ctx() context: InterconnectContext): unknown {
    const name = context.getPattern();
    return (WITHOUT_A_VALUE[name] ?? ONE_EMPTY_VALUE[name])?.();
  }

  @MessagePattern('destroyed')
  destroyed(): Readable {
    return new Readable({ read: () => undefined }).destroy();
  }

  @MessagePattern('destroyed for a reason')
  destroyedForAReason(): Readable {
    const readable = new Readable({ read: () => undefined });
    return readable.on('error', () => undefined).destroy(new Error('the disk is gone'));
  }

  @MessagePattern('destroyed later')
  destroyedLater(): Readable {
    const readable = new Readable({ read: () => undefined });
    setImmediate(() => readable.destroy());
    return readable;
  }

  @MessagePattern('null')
  null(): null {
    return null;
  }

  @MessagePattern('of(null)')
  ofNull(): Observable<null> {
    return of(null);
  }

  @MessagePattern('silenced')
  @UseInterceptors(Silences)
  silenced(): Buffer {
    return Buffer.from('not this');
  }

  @MessagePattern('untouched void')
  @UseInterceptors(Untouched)
  untouchedVoid(): void {}

  @MessagePattern('untouched EMPTY')
  @UseInterceptors(Untouched)
  untouchedEmpty(): Observable<never> {
    return EMPTY;
  }

  @MessagePattern('filled')
  @UseInterceptors(Fills)
  filled(): Observable<never> {
    return EMPTY;
  }

  @MessagePattern('denied')
  @UseGuards(Denies)
  denied(): Observable<never> {
    return EMPTY;
  }

  @MessagePattern('swallowed')
  @UseFilters(Swallows)
  swallowed(): never {
    throw new Error('nobody hears of it');
  }
}

/** Keeps the packets as they are. */
const serializer: Serializer = { serialize: (packet: unknown) => packet };
const deserializer: Deserializer = { deserialize: (packet: unknown) => packet };

const ENCODINGS: readonly (readonly [string, InterconnectPayloadOptions])[] = [
  ['binary', {}],
  ['json', { encoding: 'json' }],
  ['a serializer', { serializer, deserializer }],
];

let close: () => Promise<unknown>;
afterEach(() => close());

/** The clients that an application may have: over a socket, over memory, and a fake one. */
async function clientsOf(
  options: InterconnectPayloadOptions,
): Promise<Record<string, InterconnectClient<unknown>>> {
  const loopback = await Loopback.start({ controllers: [AnswersController], server: options });
  const module = await Test.createTestingModule({ controllers: [AnswersController] }).compile();
  const pair = await InterconnectPair.start(module, { server: options, client: options });
  const fake = new FakeInterconnectClient(options);
  for (const [name, reply] of Object.entries({ ...WITHOUT_A_VALUE, ...ONE_EMPTY_VALUE })) {
    fake.reply(name, () => reply());
  }
  close = () => Promise.all([loopback.close(), pair.close()]);
  return { socket: loopback.client(options), memory: pair.client, fake };
}

/** An empty value as a caller gets it. */
function emptyValue({ encoding }: InterconnectPayloadOptions): unknown {
  return encoding === 'json' ? undefined : EMPTY_VALUE;
}

describe.each(ENCODINGS)('With %s', (_, options) => {
  it('a stream without a value completes send() without a value', async () => {
    for (const [kind, client] of Object.entries(await clientsOf(options))) {
      for (const pattern of Object.keys(WITHOUT_A_VALUE)) {
        expect([kind, pattern, await all(client.send(pattern, EMPTY_VALUE))]).toEqual([
          kind,
          pattern,
          [],
        ]);
      }
    }
  });

  it('a handler that returns nothing emits one empty value', async () => {
    for (const [kind, client] of Object.entries(await clientsOf(options))) {
      for (const pattern of Object.keys(ONE_EMPTY_VALUE)) {
        expect([kind, pattern, await all(client.send(pattern, EMPTY_VALUE))]).toEqual([
          kind,
          pattern,
          [emptyValue(options)],
        ]);
        expect(await client.request(pattern, EMPTY_VALUE)).toEqual(emptyValue(options));
      }
    }
  });

  it('request() fails at a stream without a value: the handler ran', async () => {
    for (const [kind, client] of Object.entries(await clientsOf(options))) {
      for (const pattern of Object.keys(WITHOUT_A_VALUE)) {
        const error = await failure(client.request(pattern, EMPTY_VALUE));

        expect([kind, pattern, error]).toMatchObject([
          kind,
          pattern,
          { code: 'IC_ERR_UNEXPECTED_STREAM', executed: 'yes' },
        ]);
        expect(String(error)).toContain(`"${pattern}" is a stream that ended without a value`);
      }
    }
  });

  it('firstValueFrom() fails as with Nest TCP, or takes its default', async () => {
    const { socket } = await clientsOf(options);

    expect(await failure(socket!.send('EMPTY', EMPTY_VALUE))).toMatchObject({ name: 'EmptyError' });
    expect(await firstValueFrom(socket!.send('EMPTY', EMPTY_VALUE), { defaultValue: 7 })).toBe(7);
  });

  it('emit() of a message whose handler gives a stream without a value completes', async () => {
    const { socket } = await clientsOf(options);

    expect(await all(socket!.emit('EMPTY', EMPTY_VALUE))).toEqual([undefined]);
  });
});

describe('A Readable that is destroyed without a value', () => {
  it.each([
    ['destroyed', 'returned what cannot be sent: The Readable was read already, or destroyed'],
    ['destroyed for a reason', 'failed before it was read: the disk is gone.'],
    ['destroyed later', 'Internal server error'],
  ])('is no answer without a value: %s', async (pattern, text) => {
    const { socket: client } = await clientsOf({});

    expect(await failure(client!.send(pattern, EMPTY_VALUE))).toMatchObject({
      message: expect.stringContaining(text),
      executed: 'yes',
    });
  });
});

describe('A stream without a value', () => {
  it('may be what interceptors and filters make of an answer', async () => {
    const { socket: client } = await clientsOf({});
    const answer = (pattern: string) => all(client!.send(pattern, EMPTY_VALUE));

    expect(await answer('silenced')).toEqual([]);
    expect(await answer('swallowed')).toEqual([]);
    expect(await answer('untouched EMPTY')).toEqual([]);
    expect(await answer('untouched void')).toEqual([EMPTY_VALUE]);
    expect(await answer('filled')).toEqual([Buffer.from('none')]);
    expect(await failure(client!.send('denied', EMPTY_VALUE))).toMatchObject({
      message: 'Forbidden resource',
    });
  });

  it('is not what null is: in JSON a value, in binary an empty one', async () => {
    const { socket: binary } = await clientsOf({});
    for (const pattern of ['null', 'of(null)']) {
      expect(await all(binary!.send(pattern, EMPTY_VALUE))).toEqual([EMPTY_VALUE]);
    }
    await close();
    const { socket: json } = await clientsOf({ encoding: 'json' });
    for (const pattern of ['null', 'of(null)']) {
      expect(await all(json!.send(pattern, {}))).toEqual([null]);
    }
  });
});
