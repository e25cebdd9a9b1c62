/** A dialer under test that runs as a program of its own. */
import { spawn } from 'node:child_process';
import { UsageError } from '../usage-error.js';
import type { StartDialer } from './dialer-subject.js';

/**
 * Starts the command with INTERCONNECT_HOST and INTERCONNECT_PORT in its environment. The suite ignores the exit code
 * and the output of the command.
 */
export function commandDialer(command: readonly string[]): StartDialer {
  const [file = '', ...args] = command;
  return ({ host, port }) =>
    new Promise((resolve, reject) => {
      const env = {
        ...process.env,
        INTERCONNECT_HOST: host,
        INTERCONNECT_PORT: String(port),
      };
      const child = spawn(file, args, { env, stdio: 'ignore' });
      const ended = new Promise<string>((end) => {
        child.once('exit', (code, signal) =>
          end(`the command ended with ${code === null ? signal : `code ${code}`}`),
        );
      });
      child.once('error', (error) =>
        reject(new UsageError(`The command "${command.join(' ')}" cannot run: ${error.message}.`)),
      );
      child.once('spawn', () =>
        resolve({
          ended,
          stop: async () => {
            child.kill('SIGKILL');
            await ended;
          },
        }),
      );
    });
}
