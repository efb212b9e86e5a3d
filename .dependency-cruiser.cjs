/**
 * Who may import whom under src/ (docs/architecture.md). A layer sees itself and what is listed for it, nothing else.
 * `npm run check:layers` applies these rules and counts the modules it saw; test/tooling/layers.test.ts proves that a violation fails.
 */
const MAY_IMPORT = {
  core: [], // pure decisions: values in, values out
  ports: ['core'], // interfaces only
  app: ['core', 'ports'], // use cases
  stores: ['core', 'ports'], // outbound adapters, down to telemetry: never app, never each other
  upstreams: ['core', 'ports'],
  engine: ['core', 'ports'],
  sources: ['core', 'ports'],
  dns: ['core', 'ports'],
  ssh: ['core', 'ports'], // shells in debug containers
  sealed: ['core', 'ports'], // cryptography of sealed calls
  billing: ['core', 'ports'],
  ingress: ['core', 'ports'],
  webhooks: ['core', 'ports'], // sends deliveries
  telemetry: ['core', 'ports'], // metrics and traces
  api: ['app', 'core', 'ports'], // inbound: never a concrete adapter
  jobs: ['app', 'core', 'ports'],
  client: [], // the typed client of the public API
  cli: ['client', 'server'], // speaks HTTP; `start` boots the server
};
/** The composition root: it may import every layer, and only it. */
const ROOT_LAYER = 'server';

/** Layers whose folders are alternatives or surfaces of their own, with the folders that all of them share. */
const SEPARATE_FOLDERS = {
  stores: ['_shared', 'migrations'],
  upstreams: ['_shared'],
  engine: ['_shared'],
  sources: ['_shared'],
  billing: ['_shared'],
  api: ['_shared'],
};

const UNIT_TEST = '[.]test[.]ts$';
const anyOf = (names) => `(${names.join('|')})`;

const KNOWN_LAYERS = `^src/${anyOf([...Object.keys(MAY_IMPORT), ROOT_LAYER])}/`;

const layerRules = Object.entries(MAY_IMPORT).map(([layer, allowed]) => ({
  name: `layer-${layer}`,
  comment: `src/${layer} may import only ${[layer, ...allowed].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: '^src/', pathNot: `^src/${anyOf([layer, ...allowed])}/` },
}));

const siblingRules = Object.entries(SEPARATE_FOLDERS).map(([layer, shared]) => ({
  name: `siblings-${layer}`,
  comment: `folders of src/${layer} do not know each other; what they share lies in ${shared.join(', ')}`,
  severity: 'error',
  from: { path: `^src/${layer}/([^/]+)/` },
  to: { path: `^src/${layer}/`, pathNot: [`^src/${layer}/$1/`, `^src/${layer}/${anyOf(shared)}/`] },
}));

module.exports = {
  forbidden: [
    { name: 'no-cycles', comment: 'an import cycle, type imports included', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'known-layer',
      comment: 'every file under src lies in a layer that has rules',
      severity: 'error',
      from: { path: '^src/', pathNot: KNOWN_LAYERS },
      to: {},
    },
    {
      name: 'into-known-layer',
      comment: 'the same, seen from outside',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: KNOWN_LAYERS },
    },
    ...layerRules,
    ...siblingRules,
    {
      name: 'pure-core',
      comment: 'core and ports import no Node builtin and no package, not even for a type',
      severity: 'error',
      from: { path: '^src/(core|ports)/', pathNot: UNIT_TEST },
      to: { pathNot: '^src/' },
    },
    {
      name: 'no-test-in-src',
      comment: 'production code imports no test, bench or tool',
      severity: 'error',
      from: { path: '^src/', pathNot: UNIT_TEST },
      to: { path: `^(test|bench|tools)/|${UNIT_TEST}` },
    },
    {
      name: 'no-dev-package-in-src',
      comment: 'production code needs production dependencies only',
      severity: 'error',
      from: { path: '^src/', pathNot: UNIT_TEST },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'resolvable',
      comment: 'an import that leads nowhere',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'web-sees-client-only',
      comment: 'the console sees the server through src/client only',
      severity: 'error',
      from: { path: '^web/' },
      to: { path: '^(src|test|bench|tools)/', pathNot: '^src/client/' },
    },
  ],
  options: {
    // TypeScript 7 has no compiler API. Left to itself the cruiser would see no TypeScript module at all, and pass.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
