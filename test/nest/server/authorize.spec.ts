import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { Code, InterconnectException, InterconnectServer } from '../../../src/nest/index.js';
import type {
  InterconnectAccess,
  InterconnectAuthorize,
  InterconnectContext,
  InterconnectServerOptions,
} from '../../../src/nest/index.js';
import { afterTest } from '../../support/after-test.js';
import { deferred, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const NONE = Buffer.alloc(0);
const runs: string[] = [];

@Controller()
class GuardedController {
  @MessagePattern({ cmd: 'import' }, { roles: ['admin'] })
  import(@Payload() _data: Buffer, @Ctx() context: InterconnectContext): Buffer {
    runs.push('import');
    return Buffer.from(context.getIdentity());
  }

  @EventPattern('changed', { roles: ['admin'] })
  changed(@Payload() _data: Buffer): void {
    runs.push('changed');
  }

  @MessagePattern('open')
  open(@Payload() _data: Buffer): void {
    runs.push('open');
  }
}

async function serve(
  authorize: InterconnectAuthorize,
  options: InterconnectServerOptions = {},
): Promise<Loopback> {
  runs.length = 0;
  const server: InterconnectServerOptions = {
    authorize,
    authenticate: (handshake) => handshake.accept(undefined, handshake.data.toString()),
    ...options,
  };
  const loopback = await Loopback.start({ controllers: [GuardedController], server });
  afterTest(() => loopback.close());
  return loopback;
}

const ROLES: Readonly<Record<string, readonly string[]>> = { alice: ['admin'], mallory: [] };

/** The example of the README. */
const byRole: InterconnectAuthorize = ({ extras, identity }) => {
  const { roles } = extras;
  if (!Array.isArray(roles)) return true;
  return roles.some((role) => ROLES[identity]?.includes(String(role)));
};

describe('authorize', () => {
  it('decides by the identity and the extras of the handler, for requests and events', async () => {
    const loopback = await serve(byRole);
    const alice = loopback.client({ data: Buffer.from('alice') });
    const mallory = loopback.client({ data: Buffer.from('mallory') });

    expect((await alice.request({ cmd: 'import' }, NONE)).toString()).toBe('alice');
    await lastValueFrom(alice.emit('changed', NONE), { defaultValue: undefined });
    await mallory.request('open', NONE);
    for (const call of [
      mallory.request({ cmd: 'import' }, NONE),
      lastValueFrom(mallory.emit('changed', NONE)),
    ]) {
      const error = await failureOf(InterconnectException, call);
      expect(error).toMatchObject({ executed: 'no' });
    }

    expect(runs).toEqual(['import', 'changed', 'open']);
  });

  it('sees the registered pattern, and no other spelling reaches a handler', async () => {
    const seen: InterconnectAccess[] = [];
    const loopback = await serve((access) => {
      seen.push(access);
      return access.pattern !== '{"cmd":"import"}';
    });
    const client = loopback.client();

    for (const pattern of [{ cmd: 'import' }, '{"cmd": "import"}', '{"cmd":"\\u0069mport"}']) {
      await failureOf(InterconnectException, client.request(pattern, NONE));
    }

    expect(seen.map(({ pattern }) => pattern)).toEqual(['{"cmd":"import"}']);
    expect(seen[0]).toMatchObject({
      extras: { roles: ['admin'] },
      session: { name: '{"cmd":"import"}' },
    });
    expect(runs).toEqual([]);
  });

  it('hides what is forbidden, unless it says so', async () => {
    const loopback = await serve(({ pattern }) => (pattern === 'open' ? 'forbidden' : false));
    const client = loopback.client();
    const errors = await Promise.all(
      [{ cmd: 'import' }, 'unknown', 'open'].map((pattern) =>
        failureOf(InterconnectException, client.request(pattern, NONE)),
      ),
    );

    const shown = errors.map(({ code, reason, data, executed }) => ({
      code,
      reason,
      data,
      executed,
    }));
    expect(shown[0]).toEqual(shown[1]);
    expect(shown[2]).toMatchObject({ code: Code.SESSION_FORBIDDEN, executed: 'no' });
  });

  it('may decide later, and messages wait', async () => {
    const { promise, resolve } = deferred<boolean>();
    const asked: string[] = [];
    const loopback = await serve(({ pattern }) => {
      asked.push(pattern);
      return promise;
    });
    const call = loopback.client().request('open', NONE);
    await until(() => asked.length === 1);
    expect(runs).toEqual([]);

    resolve(true);
    await call;

    expect(runs).toEqual(['open']);
  });

  it.each<[string, InterconnectAuthorize]>([
    [
      'throws',
      () => {
        throw new Error('no database');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
    ['gives something else', () => 1 as never],
    ['gives nothing', () => undefined as never],
  ])('allows nothing if it %s', async (how, authorize) => {
    const loopback = await serve(authorize);

    const error = await failureOf(InterconnectException, loopback.client().request('open', NONE));

    expect(error.code).toBe(Code.NO_SUCH_SESSION);
    expect(runs).toEqual([]);
    const isFailure = how === 'throws' || how === 'rejects';
    expect(loopback.log.find('error', 'no database')).toHaveLength(isFailure ? 1 : 0);
  });

  it('must be a function', () => {
    const options = { authorize: true } as never;

    expect(() => new InterconnectServer(options)).toThrow('authorize must be a function');
  });
});
