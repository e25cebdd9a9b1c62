/**
 * The `execArgv` with which `fork`, `spawn(process.execPath, …)`, `new Worker` and `cluster.setupPrimary`
 * run a TypeScript file of ours as it stands; `nestjs-interconnect` then means `src`.
 */
export const fromSource: readonly string[] = [
  '--conditions=interconnect-source',
  '--import',
  new URL('typescript.mjs', import.meta.url).href,
];
