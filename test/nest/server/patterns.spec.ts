import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import {
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  TcpContext,
  Transport,
} from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { connect } from '../../../src/endpoint/index.js';
import {
  Code,
  INTERCONNECT_TRANSPORT,
  InterconnectContext,
  InterconnectError,
  InterconnectException,
  InterconnectModule,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { thrown } from '../../support/events.js';
import { failureOf } from '../../support/nest/async.js';
import { createMicroservice, Loopback } from '../../support/nest/loopback.js';

@Controller()
class PatternsController {
  @MessagePattern('plain')
  plain(@Ctx() context: InterconnectContext): Buffer {
    return Buffer.from(`plain as ${context.getPattern()}`);
  }

  @MessagePattern({ cmd: 'sum', version: 2 })
  object(): Buffer {
    return Buffer.from('object');
  }

  @MessagePattern(['either', 'or'])
  several(@Ctx() context: InterconnectContext): Buffer {
    return Buffer.from(context.getPattern());
  }

  @MessagePattern(7)
  number(): Buffer {
    return Buffer.from('number');
  }

  @MessagePattern('true')
  true(): Buffer {
    return Buffer.from('text true');
  }

  @MessagePattern('1.0')
  version(): Buffer {
    return Buffer.from('text 1.0');
  }

  @MessagePattern('größe/大 🙂')
  anyScript(): Buffer {
    return Buffer.from('any script');
  }

  @MessagePattern('ours', INTERCONNECT_TRANSPORT)
  ours(): Buffer {
    return Buffer.from('ours');
  }

  @MessagePattern('of tcp', Transport.TCP)
  ofTcp(@Payload() _data: unknown, @Ctx() _context: TcpContext): void {}
}

let loopback: Loopback | undefined;
afterEach(async () => {
  await loopback?.close();
  loopback = undefined;
});

async function call(pattern: unknown): Promise<string> {
  loopback ??= await Loopback.start({ controllers: [PatternsController] });
  const answer = await firstValueFrom(loopback.client().send(pattern, Buffer.alloc(0)));
  return answer.toString();
}

describe('a pattern', () => {
  it.each([
    ['plain', 'plain as plain'],
    [{ cmd: 'sum', version: 2 }, 'object'],
    [{ version: 2, cmd: 'sum' }, 'object'],
    ['either', 'either'],
    ['or', 'or'],
    [7, 'number'],
    ['7', 'number'],
    [7n, 'number'],
    ['true', 'text true'],
    [true, 'text true'],
    ['1.0', 'text 1.0'],
    ['größe/大 🙂', 'any script'],
    ['ours', 'ours'],
  ])('finds its handler: %p', async (pattern, answer) => {
    expect(await call(pattern)).toBe(answer);
  });

  it.each([
    ['"plain"', 'plain'],
    ['"\\u0070lain"', 'plain'],
    ['{"version":2,"cmd":"sum"}', '{\\"cmd\\":\\"sum\\",\\"version\\":2}'],
    ['7.0', '7'],
    [' 7', '7'],
  ])('has one spelling, and %s is not it', async (spelling, registered) => {
    const error = await failureOf(InterconnectException, call(spelling));

    expect(error).toMatchObject({ code: Code.NO_SUCH_SESSION, executed: 'no' });
    const hint = `It is another spelling of "${registered}"`;
    expect(loopback?.log.find('warn', hint)).toHaveLength(1);
  });

  it.each([
    'unknown',
    'of tcp',
    '__proto__',
    'constructor',
    '{',
    `${'['.repeat(300)}${']'.repeat(300)}`,
    'x'.repeat(200),
  ])('without a handler is refused: %.40s', async (pattern) => {
    const error = await failureOf(InterconnectException, call(pattern));

    expect(error.code).toBe(Code.NO_SUCH_SESSION);
  });

  it('of the peer cannot forge a line of the log', async () => {
    await failureOf(InterconnectException, call('x\nError: all is lost'));

    expect(loopback?.log.find('warn', '\n')).toEqual([]);
    expect(loopback?.log.find('warn', '"x\\nError: all is lost"')).toHaveLength(1);
  });

  it('of the peer cannot fill the log', async () => {
    await failureOf(InterconnectException, call('x'.repeat(1024)));

    expect(loopback?.log.find('warn', `"${'x'.repeat(256)}…"`)).toHaveLength(1);
  });

  it("without a handler is refused with Nest's sentence, for callers without Nest too", async () => {
    loopback = await Loopback.start();
    const connection = await connect({ host: '127.0.0.1', port: loopback.port });

    await expect(connection.createSession('unknown')).rejects.toMatchObject({
      code: 'IC_ERR_SESSION_REJECTED',
      reason: 'There is no matching message handler defined in the remote service.',
    });
    await connection.close();
  });
});

describe('a pattern that no caller can reach', () => {
  const longest = 'ä'.repeat(512);

  it.each<[unknown, string]>([
    [
      '',
      '@MessagePattern("") cannot be served. A session\'s name (in Nest: a pattern) must be a string of 1 to 1024',
    ],
    [`${longest}a`, 'must be a string of 1 to 1024 bytes'],
    ['a\0b', 'without U+0000'],
    ['\ud800', 'halves of surrogate pairs'],
    [{ text: longest }, 'must be a string of 1 to 1024 bytes'],
    [
      undefined,
      '@MessagePattern() cannot be served. A pattern is a string, a number or an object.',
    ],
    [null, '@MessagePattern(null) cannot be served. A pattern is a string, a number or an object.'],
    [() => 'p', 'cannot be served. A pattern is a string, a number or an object.'],
    [/^user\./, '@MessagePattern(/^user\\./) cannot be served. A RegExp cannot be a pattern'],
  ])('is refused at start: %p', (pattern, text) => {
    const server = new InterconnectServer();
    const add = (isEvent: boolean) => () =>
      server.addHandler(pattern as string, async () => undefined, isEvent);

    const error = thrown(add(false));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toContain(text);
    expect(add(true)).toThrow('@EventPattern(');
  });

  it.each<[unknown]>([['a'], [longest], [0], [{}], [true], ['true'], ['🙂']])(
    'is not this one: %p',
    (pattern) => {
      const server = new InterconnectServer();

      expect(() => server.addHandler(pattern as string, async () => undefined)).not.toThrow();
    },
  );

  it('is named by class and method, and keeps the application from starting', async () => {
    @Controller()
    class FirstController {
      @MessagePattern('')
      nameless(): void {}
    }
    const server = new InterconnectServer({ port: 0 });
    const app = await createMicroservice(server, {
      imports: [InterconnectModule.forRoot()],
      controllers: [FirstController],
    });

    const error = await failureOf(InterconnectError, app.listen());

    expect(error.message).toContain('@MessagePattern("") of FirstController.nameless cannot');
  });
});

describe('handlers that exclude each other', () => {
  function twoHandlers(first: MethodDecorator, second: MethodDecorator): Type {
    class TwoController {
      one(): void {}
      two(): void {}
    }
    for (const [name, decorate] of [
      ['one', first],
      ['two', second],
    ] as const) {
      const descriptor = Object.getOwnPropertyDescriptor(TwoController.prototype, name);
      if (descriptor !== undefined) decorate(TwoController.prototype, name, descriptor);
    }
    Controller()(TwoController);
    return TwoController;
  }

  it.each([
    [MessagePattern('twice'), MessagePattern('twice'), '@MessagePattern', '@MessagePattern'],
    [MessagePattern('twice'), EventPattern<unknown>('twice'), '@MessagePattern', '@EventPattern'],
    [EventPattern<unknown>('twice'), MessagePattern('twice'), '@EventPattern', '@MessagePattern'],
  ])(
    'are refused at start, with pattern and kinds (%#)',
    async (one, two, firstKind, secondKind) => {
      const server = new InterconnectServer({ port: 0 });

      const error = await failureOf(Error, startWith(server, twoHandlers(one, two)));

      expect(error.message).toContain(
        `The pattern "twice" has two handlers that exclude each other: first ${firstKind}("twice"), then ${secondKind}("twice")`,
      );
    },
  );

  it('are named by class and method, where the application has the module', async () => {
    @Controller()
    class FirstController {
      @MessagePattern({ cmd: 'sum', version: 1 })
      sum(): void {}

      helper(): void {}
    }
    @Controller()
    class SecondController {
      @EventPattern<unknown>(['other', { version: 1, cmd: 'sum' }])
      summed(): void {}
    }
    const server = new InterconnectServer({ port: 0 });
    const app = await createMicroservice(server, {
      imports: [InterconnectModule.forRoot()],
      controllers: [FirstController, SecondController],
    });

    const error = await failureOf(Error, app.init());

    expect(error.message).toContain(
      'They are FirstController.sum and SecondController.summed. Only several',
    );
  });

  it('are told as a bad option', () => {
    const server = new InterconnectServer();
    server.addHandler('p', async () => undefined);

    expect(thrown(() => server.addHandler('p', async () => undefined))).toMatchObject({
      code: 'IC_ERR_OPTION',
    });
  });

  it('are told by the normalised pattern', () => {
    const server = new InterconnectServer();
    server.addHandler({ a: 1, b: 2 }, async () => undefined);

    expect(() => server.addHandler({ b: 2, a: 1 }, async () => undefined)).toThrow('{"a":1,"b":2}');
  });

  it('are not two event handlers', () => {
    const server = new InterconnectServer();
    server.addHandler('event', async () => undefined, true);

    expect(() => server.addHandler('event', async () => undefined, true)).not.toThrow();
  });
});

describe('a pattern that Nest cuts', () => {
  const keys = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`k${index}`, 1]));

  it.each([
    ['too deep', { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } }],
    ['too wide', keys],
    ['too wide within another', { a: keys }],
  ])('is refused at start, because it would stand for others too: %s', (_what, pattern) => {
    const server = new InterconnectServer();

    expect(() => server.addHandler(pattern, async () => undefined)).toThrow('Nest cuts objects');
  });

  it.each(['a:[MAX_DEPTH_REACHED]x', { a: '[TOO_MANY_KEYS]' }, { a: ':[TOO_MANY_KEYS]' }])(
    'is not one that has the words in a text: %p',
    (pattern) => {
      const server = new InterconnectServer();

      expect(() => server.addHandler(pattern, async () => undefined)).not.toThrow();
    },
  );
});

describe('getHandlerByPattern()', () => {
  it('takes the pattern as it is before reading it as JSON', () => {
    const server = new InterconnectServer();
    const text = async (): Promise<void> => {};
    const object = async (): Promise<void> => {};
    server.addHandler('1.0', text);
    server.addHandler({ a: 1 }, object);

    expect(server.getHandlerByPattern('1.0')).toBe(text);
    expect(server.getHandlerByPattern('{ "a": 1 }')).toBe(object);
    expect(server.getHandlerByPattern('1')).toBeNull();
  });
});

async function startWith(server: InterconnectServer, controller: Type): Promise<void> {
  const app = await createMicroservice(server, { controllers: [controller] });
  await app.init();
}
