/**
 * The floors of the house: wire < protocol < endpoint < nest, cli. A floor imports only from floors
 * below it, and Nest only what any user may import. Type imports count like all others.
 */

/** Anything but the folders named, and nothing of Node's own. */
const onlyFrom = (...folders) => ({ pathNot: [`^src/(${folders.join('|')})/`] });

/** Where bytes, files and processes come from. */
const outside = [
  'net',
  'tls',
  'fs',
  'fs/promises',
  'dgram',
  'dns',
  'dns/promises',
  'http',
  'http2',
  'https',
  'child_process',
  'cluster',
  'worker_threads',
];
const outsidePattern = `^(node:)?(${outside.join('|')})$`;
const nestsOwn =
  '^(@nestjs/|rxjs(/|$)|reflect-metadata(/|$))|^node_modules/(@nestjs/|rxjs/|reflect-metadata/)';

/** The folders of a floor in the order of their imports: a folder imports only from those before it. */
const chapters = {
  protocol: ['common', 'flow', 'output', 'stream', 'message', 'session', 'connection', 'socket'],
  endpoint: ['common', 'socket', 'link', 'stream', 'api'],
};

const inOrder = Object.entries(chapters).flatMap(([floor, folders]) =>
  folders.map((folder, index) => ({
    name: `${floor}-${folder}-in-order`,
    comment: `${floor}/${folder} imports only from ${['itself', ...folders.slice(0, index)].join(', ')}.`,
    severity: 'error',
    from: { path: `^src/${floor}/${folder}/` },
    to: {
      path: `^src/${floor}/`,
      pathNot: `^src/${floor}/(${folders.slice(0, index + 1).join('|')})/`,
    },
  })),
);

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or hide a third. Types count.',
      severity: 'error',
      from: { pathNot: '^src/endpoint/' },
      to: { circular: true },
    },
    {
      name: 'no-cycles-of-values',
      comment:
        "endpoint: connection, session and message name each other's types, as users do; nothing else.",
      severity: 'error',
      from: { path: '^src/endpoint/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'wire-stands-alone',
      comment:
        'wire: bytes and frames, pure functions. Nothing of Node, nothing installed, no other floor.',
      severity: 'error',
      from: { path: '^src/wire/' },
      to: onlyFrom('wire'),
    },
    {
      name: 'protocol-on-wire-only',
      comment:
        'protocol: synchronous rules. Nothing of Node, nothing installed, only wire below it.',
      severity: 'error',
      from: { path: '^src/protocol/' },
      to: onlyFrom('wire', 'protocol'),
    },
    {
      name: 'endpoint-below-nest',
      comment:
        'endpoint: sockets, clocks and the standalone API. Knows no Nest and has no dependency.',
      severity: 'error',
      from: { path: '^src/endpoint/' },
      to: { ...onlyFrom('wire', 'protocol', 'endpoint'), dependencyTypesNot: ['core'] },
    },
    {
      name: 'nest-through-the-door',
      comment: 'nest: uses the public list of endpoint, as any user would, and Nest itself.',
      severity: 'error',
      from: { path: '^src/nest/' },
      to: {
        pathNot: ['^src/nest/', '^src/endpoint/index\\.ts$', nestsOwn],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'nest-from-common-up',
      comment:
        'nest: both sides stand on common, and the server on the client, by which it calls back.',
      severity: 'error',
      from: { path: '^src/nest/(common|client)/' },
      to: { path: '^src/nest/', pathNot: ['^src/nest/common/', '^src/nest/$1/'] },
    },
    {
      name: 'nest-opens-nothing',
      comment: "Sockets, files and processes are the endpoint's; nest may name their types.",
      severity: 'error',
      from: { path: '^src/nest/' },
      to: { path: outsidePattern, dependencyTypes: ['core'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'cli-through-the-doors',
      comment:
        "cli: a program on the standalone API. It builds and reads frames itself, and never with protocol's machines: who judges an implementation must not be a part of it.",
      severity: 'error',
      from: { path: '^src/cli/' },
      to: {
        pathNot: ['^src/cli/', '^src/(wire|endpoint)/index\\.ts$'],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'fixture-as-a-user',
      comment: 'The fixture is what any user could write: on the standalone API alone.',
      severity: 'error',
      from: { path: '^src/cli/fixture/' },
      to: { path: '^src/(wire|cli/conformance)/' },
    },
    {
      name: 'testing-on-nest',
      comment: 'testing: for tests of users, on the Nest transport and its inner parts.',
      severity: 'error',
      from: { path: '^src/testing/' },
      to: {
        pathNot: ['^src/(testing|nest)/', '^src/endpoint/index\\.ts$', nestsOwn],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'nobody-on-testing',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/testing/' },
      to: { path: '^src/testing/' },
    },
    {
      name: 'every-file-on-a-floor',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(wire|protocol|endpoint|nest|cli|testing)/' },
      to: {},
    },
    ...inOrder,
    {
      name: 'every-file-in-a-folder',
      comment: 'protocol and endpoint: only the door of the floor lies beside its folders.',
      severity: 'error',
      from: {
        path: '^src/(protocol|endpoint)/',
        pathNot: Object.entries(chapters).map(
          ([floor, folders]) => `^src/${floor}/(index\\.ts$|(${folders.join('|')})/)`,
        ),
      },
      to: {},
    },
    {
      name: 'sample-as-a-user',
      comment: 'A sample sees the two doors and its own folder.',
      severity: 'error',
      from: { path: '^sample/([^/]+)/' },
      to: {
        path: '^(src|test|sample|dist)/',
        pathNot: ['^sample/$1/', '^src/(nest|endpoint)/index\\.ts$'],
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|sample/[^/]+/dist)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['interconnect-source', 'import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.d.ts'],
    },
  },
};
