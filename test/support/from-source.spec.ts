import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from '@jest/globals';
import { fromSource } from './from-source.js';

const program = new URL('decorated.ts', import.meta.url);

describe('fromSource', () => {
  it('runs TypeScript with decorators in a worker thread', async () => {
    const worker = new Worker(program, { execArgv: [...fromSource] });
    const exit = once(worker, 'exit');

    expect(await once(worker, 'message')).toEqual([{ injects: true, args: 3 }]);
    expect(await exit).toEqual([0]);
  });

  it('runs TypeScript with decorators in a child process', async () => {
    const child = fork(program, { execArgv: [...fromSource] });
    const exit = once(child, 'exit');

    expect((await once(child, 'message'))[0]).toEqual({ injects: true, args: 3 });
    expect(await exit).toEqual([0, null]);
  });
});
