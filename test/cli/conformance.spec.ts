/** The conformance suite against ourselves: both directions, every kind of socket. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { afterTest } from '../support/after-test.js';
import { certificates } from '../support/peers/certificates.js';
import { fromSource } from '../support/from-source.js';
import { run as runProgram, start } from '../support/peers/program.js';
import {
  addressText,
  dialerOf,
  failuresIn,
  ourListener,
  run,
  runAgainst,
} from '../support/cli/command.js';

const main = new URL('../../src/cli/main.ts', import.meta.url);

describe('The conformance suite', () => {
  it('finds nothing wrong with our listener', async () => {
    // Suite and listener share this process. With more cases at once, its event loop is late all the time on a busy
    // machine, and a handshake's time, of which no standstill is spent, does not run out within the patience of a case.
    const listener = addressText(await ourListener());
    const { code, out } = await run('conformance', listener, '--jobs', '4');

    expect(failuresIn(out)).toEqual([]);
    expect(out).toMatch(/\n\d{3} passed, 0 failed, 3 skipped\n$/);
    expect(code).toBe(0);
  });

  it('finds nothing wrong with our dialer', async () => {
    const { code, out } = await runAgainst(dialerOf());

    expect(failuresIn(out)).toEqual([]);
    expect(out).toMatch(/\n\d{3} passed, 0 failed, 2 skipped\n$/);
    expect(code).toBe(0);
  });

  it('finds nothing wrong with a dialer that does not come back', async () => {
    const { out } = await runAgainst(dialerOf({ reconnect: false }), 'M121');

    expect(out).toMatch(/\n1 passed, 0 failed, 0 skipped\n$/);
  });

  it('finds nothing wrong with a listener of larger limits', async () => {
    const listener = await ourListener({
      maxMessageSize: 2 ** 20,
      maxUnsettled: 256,
      maxSessions: 64,
      sessionWindow: 2 ** 20,
      connectionWindow: 2 ** 22,
    });

    const groups = ['messages', 'fragments', 'flow'].flatMap((group) => ['--group', group]);
    const { code, out } = await run('conformance', addressText(listener), ...groups);

    expect(failuresIn(out)).toEqual([]);
    expect(code).toBe(0);
  });

  it('speaks TLS', async () => {
    const { server } = await certificates();
    const listener = await ourListener({ tls: server });

    const groups = ['--group', 'handshake', '--group', 'close'];
    const { code, out } = await run('conformance', addressText(listener), '--tls', ...groups);

    expect(failuresIn(out)).toEqual([]);
    expect(out).toContain('✓ handshake/alpn ');
    expect(out).toContain('✓ handshake/alpn-missing');
    expect(code).toBe(0);
  });

  it('speaks over Unix sockets', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'interconnect-'));
    afterTest(() => rm(folder, { recursive: true }));
    const path = join(folder, 'socket');
    await ourListener({ path });

    const { code, out } = await run('conformance', '--path', path, '--group', 'sessions');

    expect(failuresIn(out)).toEqual([]);
    expect(code).toBe(0);
  });

  it('runs one case on a given port', async () => {
    const { port } = (await ourListener()).address as { port: number };
    const { code, out } = await run('conformance', `localhost:${port}`, '--case', 'M24');

    expect(out).toContain('✓ malformed/M24');
    expect(out).toMatch(/\n1 passed, 0 failed, 0 skipped\n$/);
    expect(code).toBe(0);
  });
});

describe('The programs', () => {
  it('test each other: a fixture that listens', async () => {
    const fixture = start(main, ['fixture', '--port', '0']);
    const [line] = await once(fixture.stdout!, 'data');
    const [, address = ''] = /^listening on (127\.0\.0\.1:\d+)\n$/.exec(String(line)) ?? [];

    const { code, stdout } = await runProgram(main, ['conformance', address, '--case', 'M5']);
    const ended = once(fixture, 'exit');
    fixture.kill('SIGTERM');

    expect(stdout).toMatch(/✓ malformed\/M5 .*\n\n1 passed, 0 failed, 0 skipped\n$/);
    expect(code).toBe(0);
    expect(await ended).toEqual([0, null]);
  });

  it('test each other: a fixture that dials', async () => {
    const dialer = [process.execPath, ...fromSource, fileURLToPath(main), 'fixture', '--connect'];

    const { code, stdout, stderr } = await runProgram(main, [
      'conformance',
      '--listen',
      '0',
      '--case',
      'M24',
      '--case',
      'messages/own-ids',
      '--',
      ...dialer,
      'env',
    ]);

    expect(stderr).toBe('');
    expect(stdout).toMatch(/\n2 passed, 0 failed, 0 skipped\n$/);
    expect(code).toBe(0);
  });
});
