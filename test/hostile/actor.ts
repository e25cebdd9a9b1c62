/** The entry of every child process of the suite. The first argument is the role. */
const roles: Record<string, () => Promise<unknown>> = {
  attacker: () => import('./attacker.js'),
  burner: () => import('./burner.js'),
  client: () => import('./victim-client.js'),
  core: () => import('./victim-core.js'),
  honest: () => import('./honest.js'),
  nest: () => import('./victim-nest.js'),
};

await roles[process.argv[2] ?? '']?.();
