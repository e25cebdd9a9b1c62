/** The package as it is published: packed, laid into an application's `node_modules`, compiled against, run by Node. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const PATIENCE = 60_000;
const PROGRAM = fileURLToPath(new URL('application.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);
let folder: string;

/** What the compiler complains of. It writes its files in any case. */
async function tsc(...args: string[]): Promise<string> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const result = execute(process.execPath, [compiler, ...args]);
  const { stdout } = await result.catch((error: { stdout: string }) => error);
  return stdout;
}

/** What `npm publish` would publish of the sources as they are now; documents and sources aside. */
async function pack(): Promise<void> {
  const stage = join(folder, 'stage');
  // Whether the sources are sound is a step of the check by itself.
  await tsc('-p', join(root, 'tsconfig.build.json'), '--noCheck', '--outDir', join(stage, 'dist'));
  await cp(join(root, 'package.json'), join(stage, 'package.json'));
  await execute('npm', ['pack', '--silent'], { cwd: stage, shell: true });
}

/** An application with the package, and with what else it needs from where that lies here. */
async function install(application: string, nest: string): Promise<void> {
  const modules = join(application, 'node_modules');
  const installed = join(modules, 'nestjs-interconnect');
  const packed = await readdir(join(folder, 'stage'));
  const archive = packed.find((name) => name.endsWith('.tgz')) ?? 'no archive';
  await mkdir(installed, { recursive: true });
  await execute('tar', [
    '-xzf',
    join(folder, 'stage', archive),
    '-C',
    installed,
    '--strip-components=1',
  ]);
  await mkdir(join(modules, '@types'));
  const links = {
    '@nestjs': nest,
    rxjs: 'rxjs',
    'reflect-metadata': 'reflect-metadata',
    '@types/node': '@types/node',
  };
  for (const [name, target] of Object.entries(links)) {
    await symlink(join(root, 'node_modules', target), join(modules, name), 'junction');
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'interconnect-package-'));
  await pack();
}, PATIENCE);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([
  { nest: 'nest-11/node_modules/@nestjs', major: 11 },
  { nest: '@nestjs', major: 12 },
])('the package in an application on Nest $major', ({ nest, major }) => {
  let application: string;
  let complaints: string;
  beforeAll(async () => {
    application = join(folder, `nest-${major}`);
    await install(application, nest);
    const options = {
      module: 'nodenext',
      target: 'es2022',
      types: ['node'],
      strict: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      // All of our declarations are looked at, and Nest's, but not the language's.
      skipDefaultLibCheck: true,
    };
    const files = ['application.cts', 'application.mts'];
    await writeFile(join(application, 'package.json'), '{ "name": "application" }');
    await writeFile(
      join(application, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files }),
    );
    await Promise.all(files.map((file) => cp(PROGRAM, join(application, file))));
    complaints = await tsc('-p', application);
  }, PATIENCE);

  it('has types that the strict compiler accepts, whoever imports them', () => {
    expect(complaints).toBe('');
  });

  it.each([
    ['required by CommonJS', 'application.cjs'],
    ['imported by an ES module', 'application.mjs'],
  ])(
    'works when it is %s',
    async (_how, file) => {
      const { stdout } = await execute(process.execPath, [join(application, file)]);

      expect(JSON.parse(stdout)).toEqual({
        echo: 'bytes echo',
        core: 'bytes echo',
        testing: 'p',
        isNestsClient: true,
        isNestsException: true,
        hasDispatchHook: major === 12,
      });
    },
    PATIENCE,
  );
});
