/**
 * The second run: the specs of the Nest floor once more, on Nest 11. All else is as package.json says.
 * Jest maps what Nest's own packages load as well, so that nothing of Nest 12 is there.
 */
import { readFileSync } from 'node:fs';

const { jest } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const { projects: _p, reporters: _r, maxWorkers: _w, workerIdleMemoryLimit: _l, ...project } = jest;

/** What Nest 11 does instead is in `nest-11.spec.ts`. */
const leftOut = [
  // Nest 11 has no ClientProxy.setOnDispatchHook.
  'test/nest/client/dispatch-hook.spec.ts',
  'test/nest/common/traces.spec.ts',
  'test/nest/tcp-suite/packet-metadata.spec.ts',
  // Nest 11 has no INestMicroservice.registerPreRequestHook.
  'test/nest/client/pre-request-hooks.spec.ts',
  // Runs processes of their own, to which Jest cannot give another Nest.
  'test/sample/main.spec.ts',
];

export default {
  ...project,
  rootDir: '../..',
  displayName: 'Nest 11',
  testMatch: ['nest', 'nest-11', 'sample', 'testing'].map(
    (folder) => `<rootDir>/test/${folder}/**/*.spec.ts`,
  ),
  testPathIgnorePatterns: ['/node_modules/', ...leftOut.map((path) => `^<rootDir>/${path}$`)],
  moduleNameMapper: {
    ...jest.moduleNameMapper,
    '^@nestjs/(.*)$': '<rootDir>/test/nest-11/node_modules/@nestjs/$1',
  },
};
