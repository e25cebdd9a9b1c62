/** What is asked for wrongly: one sentence, and exit code 2. */
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { CASES } from '../../src/cli/conformance/cases/index.js';
import { DEFAULT_PATIENCE } from '../../src/cli/conformance/waits.js';
import { afterTest } from '../support/after-test.js';
import { addressText, ourListener, run } from '../support/cli/command.js';

describe('interconnect', () => {
  it.each([
    ['nothing', [], 'There is no command'],
    ['an unknown command', ['conform'], '"conform" is no command'],
    [
      'an unknown option',
      ['conformance', 'x:1', '--group=flow', '--fast'],
      "Unknown option '--fast'",
    ],
    ['an option without its value', ['fixture', '--port'], 'argument missing'],
    ['an argument too many', ['fixture', 'now'], "Unexpected argument 'now'"],
    ['nothing to test', ['conformance'], 'There is nothing to test'],
    ['two things to test', ['conformance', 'a:1', 'b:2'], '"b:2" is one address too many'],
    ['an address and a path', ['conformance', 'a:1', '--path', 'b'], 'give either HOST:PORT or'],
    ['an address without a port', ['conformance', 'localhost'], '"localhost" is not an address'],
    ['a port that is none', ['conformance', 'localhost:0'], '"0" is not a port'],
    ['a port beyond all', ['conformance', '[::1]:65536'], '"65536" is not a port'],
    ['a port of the fixture', ['fixture', '--port', 'http'], '"http" is not a port'],
    ['a host of the fixture', ['fixture', '--host', ''], 'host must be a name or an address'],
    ['an unknown group', ['conformance', 'a:1', '--group', 'rest'], 'There is no group "rest"'],
    ['an unknown case', ['conformance', 'a:1', '--case', 'M0'], 'There is no case "M0"'],
    [
      'a case of the other direction',
      ['conformance', 'a:1', '--case', 'handshake/first-octets'],
      'There is no case "handshake/first-octets"',
    ],
    ['a timeout of none', ['conformance', 'a:1', '--timeout', '0'], '--timeout is "0"'],
    ['a patience of none', ['conformance', 'a:1', '--patience', '0'], '--patience is "0"'],
    ['jobs that are no number', ['conformance', 'a:1', '--jobs', 'all'], '--jobs is "all"'],
    ['a command for a listener', ['conformance', 'a:1', '--', 'x'], 'is for --listen'],
    ['no command for a dialer', ['conformance', '--listen', '0'], 'There is no dialer to test'],
    [
      'a dialer and an address',
      ['conformance', 'a:1', '--listen', '0', '--', 'x'],
      '--listen takes a dialer',
    ],
    [
      'a port to listen on that is none',
      ['conformance', '--listen', 'here', '--', 'x'],
      '"here" is not an address',
    ],
    [
      'several cases at once on one port',
      ['conformance', '--listen', '5001', '--jobs', '2', '--', 'x'],
      'give port 0, or --jobs 1',
    ],
    ['a fixture on both', ['fixture', '--path', 'x', '--port', '1'], '--path stands for'],
    ['a fixture that is both', ['fixture', '--connect', 'a:1', '--port', '1'], '--connect makes'],
    ['a delay that is none', ['fixture', '--delay', '5s'], '--delay is "5s"'],
    ['a delay beyond all', ['fixture', '--delay', '1001'], 'give an integer from 0 to 1000'],
    ['no surroundings', ['fixture', '--connect', 'env'], 'INTERCONNECT_PORT are not both set'],
  ])('says what is wrong with %s', async (_what, args, sentence) => {
    const { code, out, error } = await run(...args);

    expect(code).toBe(2);
    expect(out).toBe('');
    expect(error).toContain(sentence);
    expect(error).toMatch(/^interconnect: [^\n]+\.\n$/);
  });

  it('says where nobody listens', async () => {
    const port = await freePort();

    const { code, error } = await run('conformance', `127.0.0.1:${port}`);

    expect(code).toBe(2);
    expect(error).toBe(
      `interconnect: No connection to 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}.\n`,
    );
  });

  it('says that a fixture has nobody to connect to, and nowhere to listen', async () => {
    const port = await freePort();
    const taken = addressText(await ourListener()).replace('127.0.0.1:', '');

    const dialed = await run('fixture', '--connect', `127.0.0.1:${port}`);
    const listened = await run('fixture', '--port', taken);

    expect([dialed.code, listened.code]).toEqual([2, 2]);
    expect(dialed.error).toMatch(/^interconnect: No connection to 127\.0\.0\.1:\d+: .*\n$/);
    expect(listened.error).toMatch(/^interconnect: .*EADDRINUSE.*\n$/);
  });

  it('says that a dialer cannot be started, or listened for', async () => {
    const listen = ['conformance', '--case', 'M24', '--listen'];
    const taken = addressText(await ourListener());

    const started = await run(...listen, '0', '--', 'no-such-command-anywhere');
    const bound = await run(...listen, taken, '--', 'no-such-command-anywhere');

    expect([started.code, bound.code]).toEqual([2, 2]);
    expect(started.error).toMatch(/The command "no-such-command-anywhere" cannot run: .*ENOENT/);
    expect(bound.error).toMatch(/Cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
  });

  it('says that results cannot be written before it runs anything', async () => {
    const address = addressText(await ourListener());

    const { code, out, error } = await run('conformance', address, '--junit', '/no/such/folder/x');

    expect(code).toBe(2);
    expect(out).toBe('');
    expect(error).toContain('The JUnit file cannot be written: ENOENT');
  });

  it('helps, and tells its version', async () => {
    const { version } = (await import('../../package.json', { with: { type: 'json' } })).default;

    expect(await run('--version')).toEqual({ code: 0, out: `${version}\n`, error: '' });
    for (const args of [['--help'], ['help'], ['conformance', '--help'], ['fixture', '-h']]) {
      const { code, out } = await run(...args);
      expect(code).toBe(0);
      for (const option of ['--listen', '--junit', '--jobs', '--connect', 'Exit codes']) {
        expect(out).toContain(option);
      }
    }
  });

  it('says in its help up to which delay the suite judges', async () => {
    const { out } = await run('--help');

    expect(out).toContain(`judges that nothing came (${DEFAULT_PATIENCE})`);
    expect(out).toContain(`half of it for a decision: ${DEFAULT_PATIENCE / 2} ms`);
  });

  it('lists the cases of each direction, and those that are asked for', async () => {
    const listener = await run('conformance', '--list');
    const dialer = await run('conformance', '--list', '--listen', '0');
    const some = await run('conformance', '--list', '--group', 'close', '--case', 'M13');

    expect(listener.out).toContain('  malformed/M1.a  HTTP');
    expect(dialer.out).not.toContain('malformed/M1.a');
    expect(dialer.out).toContain('handshake/first-octets');
    expect(some.out).toMatch(/^close\n {2}close\/in-order .*\[IC-12\.8 IC-12\.9\]\n/);
    expect(some.out).toMatch(/\nmalformed\n {2}malformed\/M13\.a .*\n(.*\n){3}\n\d+ cases\n$/);
    const roles = [listener, dialer].map(({ out }) => Number(/(\d+) cases\n$/.exec(out)?.[1]));
    expect(Math.max(...roles)).toBeLessThan(CASES.length);
  });
});

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
    afterTest(() => server.close());
  });
}
