import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { InterconnectError, isInterconnectError } from 'nestjs-interconnect/core';
import { connected } from '../../support/peers/connected.js';
import { failure } from '../../support/events.js';

describe('an error of the library', () => {
  it('is an Error with a code, a name and a sentence', async () => {
    const { dialer } = await connected();

    const error = await failure(dialer.createSession(''));

    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('InterconnectError');
    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toMatch(/^[A-Z].*\.$/);
    expect(error.stack).toContain('errors.spec');
    expect([error.status, error.reason, error.data, error.cause]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('bears what it is given', () => {
    const details = {
      executed: 'maybe' as const,
      status: 0x8000,
      reason: 'because',
      data: Buffer.from('x'),
      cause: new Error('deeper'),
    };

    const error = new InterconnectError('IC_ERR_TIMEOUT', 'Too late.', details);

    expect(error).toMatchObject(details);
    expect(new InterconnectError('IC_ERR_TIMEOUT', 'Too late.').executed).toBe('no');
  });

  it('is known by its brand, also from another copy of the package', () => {
    const own = new InterconnectError('IC_ERR_CLOSED', 'Closed.');
    const foreign = { [Symbol.for('nestjs-interconnect.error')]: true };

    expect([own, foreign].map(isInterconnectError)).toEqual([true, true]);
    expect([new Error('x'), {}, null, undefined, 'IC_ERR_CLOSED'].map(isInterconnectError)).toEqual(
      [false, false, false, false, false],
    );
  });

  it('prints its name, its sentence and what it bears', () => {
    const error = new InterconnectError('IC_ERR_CLOSED', 'Closed.', { executed: 'maybe' });

    const printed = inspect(error);

    expect(printed).toMatch(/^InterconnectError: Closed\.\n +at /);
    expect(printed).toMatch(/code: 'IC_ERR_CLOSED',\s+executed: 'maybe'/);
    expect(error.stack).toMatch(/^InterconnectError: Closed\.\n/);
  });
});
