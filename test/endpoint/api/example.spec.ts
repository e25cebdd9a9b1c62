import { describe, expect, it } from '@jest/globals';
import { run } from '../../support/peers/program.js';

describe('the example of the design', () => {
  it('prints the message and the outcome, and the process ends by itself', async () => {
    const finished = await run(new URL('../programs/example.ts', import.meta.url));

    expect(finished).toEqual({
      code: 0,
      stdout: [
        'Test message',
        '{',
        '  accepted: true,',
        '  data: <Buffer >,',
        '  metadata: [Object: null prototype] {}',
        '}',
        '',
      ].join('\n'),
      stderr: '',
    });
  });
});
