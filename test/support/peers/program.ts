/** Runs TypeScript programs of the tests as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterTest } from '../after-test.js';
import { fromSource } from '../from-source.js';

/** Starts a program. If it still runs at the end of the test, the test kills it. */
export function start(
  program: URL,
  args: string[] = [],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const child = spawn(process.execPath, [...fromSource, fileURLToPath(program), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  afterTest(() => child.kill('SIGKILL'));
  return child;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program and waits until it ends by itself. */
export async function run(
  program: URL,
  args: string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  const child = start(program, args, env);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** The next message that the program sends. */
export function report(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`The program ended with code ${code}.`)));
  });
}
