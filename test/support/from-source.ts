/**
 * The `execArgv` with which `fork`, `spawn(process.execPath, …)`, `new Worker` and `cluster.setupPrimary` run a
 * TypeScript file without a build. In that process, `nestjs-interconnect` means `src`.
 */
export const fromSource: readonly string[] = [
  '--conditions=interconnect-source',
  '--import',
  new URL('typescript.mjs', import.meta.url).href,
];
