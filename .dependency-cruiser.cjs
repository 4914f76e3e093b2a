// Who may import whom (src/README.md):
//   protocol <- { runtime | config } <- drivers <- { relay | agent | controller | buffer <- client } <- { cli | stack } <- { bin | index }
// A driver may know a stage's port, since it adapts to it: as a type only.
const room = (name) => `^src/${name}/`;
const only = (name, owners) => ({
  name: `only-${owners.replaceAll(/[^a-z]+/g, '-')}-imports-${name}`,
  severity: 'error',
  from: { path: '^src/', pathNot: owners },
  to: { path: `node_modules/${name}/` },
});
const never = (name, from, to, more = {}) => ({ name, severity: 'error', from: { path: from }, to: { path: to, ...more } });

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'protocol-imports-nothing', severity: 'error', from: { path: room('protocol') }, to: { pathNot: room('protocol') } },
    never('runtime-and-config-know-protocol-only', '^src/(runtime|config)/', '^src/(drivers|relay|agent|controller|cli|stack|testing|bin)/'),
    never('runtime-does-not-know-config', room('runtime'), room('config')),
    never('config-does-not-know-runtime', room('config'), room('runtime')),
    never('drivers-know-ports-as-types-only', room('drivers'), '^src/(relay|agent|controller|client|buffer)/', { dependencyTypesNot: ['type-only'] }),
    never('drivers-do-not-know-programs', room('drivers'), '^src/(cli|stack|testing|bin)/'),
    never('stages-do-not-know-each-other', room('relay'), room('agent')),
    never('stages-do-not-know-each-other-either', room('agent'), room('relay')),
    never('the-controller-knows-no-stage', room('controller'), '^src/(relay|agent|buffer|client)/'),
    never('nobody-on-the-data-path-knows-the-controller', '^src/(relay|agent|buffer|client|index)', room('controller')),
    never('stages-choose-no-driver', '^src/(relay|agent|controller)/', '^src/(drivers|cli|stack|testing|bin)/'),
    never('stack-stands-by-itself', room('stack'), '^src/(relay|agent|cli|config|drivers|testing|bin)/'),
    never('nobody-imports-a-composition-root', '^src/(?!bin/)', room('bin')),
    never('only-tests-use-fakes', '^src/(?!testing/)', room('testing')),
    never('the-product-does-not-know-its-benchmarks', '^src/', '^bench/'),
    // Beside the peers we are asked as they are: servers to run against, and the published interface.
    never('beside-the-peers-no-inner-room', '^bench/peers/', '^src/(?!stack/|index\\.ts)'),
    never('the-product-knows-no-peer', '^src/', 'node_modules/(bullmq|bentocache|cacheable|cache-manager|async-cache-dedupe|layered-loader|@keyv|keyv)/'),
    // The library's part of writing behind, and the flusher's: light, and by ports alone.
    never('buffer-knows-protocol-config-and-time-only', room('buffer'), '^src/(drivers|relay|agent|client|cli|stack|testing|bin)/'),
    never('buffer-knows-no-more-of-runtime', room('buffer'), room('runtime'), { pathNot: '^src/runtime/(clock|backoff)' }),
    never('warmup-knows-protocol-config-and-time-only', room('warmup'), '^src/(drivers|relay|agent|client|buffer|cli|stack|testing|bin)/'),
    never('warmup-knows-no-more-of-runtime', room('warmup'), room('runtime'), { pathNot: '^src/runtime/(clock|backoff)' }),
    never('stages-do-not-know-buffers', '^src/(relay|agent)/', room('buffer')),
    never('client-knows-protocol-config-and-time-only', room('client'), '^src/(drivers|relay|agent|cli|stack|testing|bin)/'),
    never('client-knows-no-more-of-runtime', room('client'), room('runtime'), { pathNot: '^src/runtime/(clock|backoff)' }),
    {
      // An application that imports the library gets ioredis (a peer), lru-cache, cockatiel, @msgpack/msgpack, yaml and zod, also through other files.
      name: 'the-library-stays-light',
      severity: 'error',
      from: { path: '^src/(index\\.ts|client/)' },
      to: { reachable: true, path: 'node_modules/(kafkajs|pg|pino|prom-client|fastify|commander|@kubernetes)/' },
    },
    only('lru-cache', '^src/client/'),
    only('cockatiel', '^src/client/'),
    only('@msgpack', '^src/client/'),
    only('pg', '^src/drivers/postgres/'),
    only('kafkajs', '^src/drivers/kafka/'),
    only('ioredis', '^src/drivers/redis/'),
    only('@kubernetes', '^src/drivers/kubernetes/'),
    only('pino', '^src/runtime/'),
    only('prom-client', '^src/runtime/'),
    only('fastify', '^src/runtime/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
