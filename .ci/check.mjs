/**
 * `npm run check`: everything a change must pass, in order, stopping at the first step that fails.
 * `npm run check -- lint floors` runs only the steps named. The tests come last, so that their
 * closing line is the last line of the run.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Each step is a list of commands; a command's first word is an npm script or a tool of ours. */
const steps = {
  format: ['prettier --check --log-level=warn .'],
  lint: ['oxlint --type-aware --deny-warnings'],
  floors: ['depcruise --config .dependency-cruiser.mjs src sample'],
  types: ['tsc -p tsconfig.json', 'tsc -p test/nest-11'],
  build: ['npm run --silent build'],
  package: ['publint --strict'],
  api: [
    'api-extractor run --config test/api/nest.json',
    'api-extractor run --config test/api/core.json',
    'api-extractor run --config test/api/testing.json',
  ],
  unused: ['knip'],
  test: ['npm run --silent test'],
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in steps));
if (unknown.length > 0) {
  console.error(`No step ${unknown.join(', ')}. Steps: ${Object.keys(steps).join(', ')}.`);
  process.exit(2);
}

for (const [name, commands] of Object.entries(steps)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`== ${name}`);
  // Only here: a plain build deletes nothing, for another process may be running from it.
  if (name === 'build') {
    for (const folder of ['dist', 'sample/01-replication/dist']) {
      rmSync(`${root}/${folder}`, { recursive: true, force: true });
    }
  }
  for (const command of commands) {
    // One string of ours, no user input: the shell finds the tool on npm's PATH, on Windows too.
    const { status } = spawnSync(command, { cwd: root, shell: true, stdio: 'inherit' });
    if (status !== 0) {
      console.error(`== check failed at: ${name} (again: npm run check -- ${name})`);
      process.exit(1);
    }
  }
}
