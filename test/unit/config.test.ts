import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DURATION, durationMs } from '../../src/config/duration.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { redacted } from '../../src/config/redacted.ts';
import {
  ENVIRONMENT,
  EXAMPLE,
  EXAMPLE_URL,
  expectConfig,
  faultsOf,
  HEAD,
  parseExample,
  parseFamilies,
} from '../support/config-text.ts';

test('the example is right and without a warning, with defaults where it says nothing', () => {
  const result = parseExample();
  const config = expectConfig(result);
  assert.deepEqual(result.warnings, []);
  assert.equal(config.prefix, 'shop:');
  assert.equal(config.source.url, ENVIRONMENT.PG_URL);
  assert.deepEqual(
    [
      config.source.publication,
      config.source.slotPrefix,
      config.source.asynchronousCommits,
      config.source.eventTrigger,
    ],
    ['afterwrite_shop', 'afterwrite_shop', true, false],
  );
  assert.deepEqual(config.log, {
    kind: 'kafka',
    brokers: ['kafka:9092'],
    topic: 'afterwrite.shop',
    partitions: 12,
    replicationFactor: 1,
    retentionMs: 259_200_000,
    ssl: false,
  });
  assert.deepEqual([config.observe, config.keysPerTransactionMax], [false, 10_000]);
  assert.deepEqual(
    [...config.families.values()].map(({ name, ttlMs, reads, rules, whenChanged }) => [
      name,
      ttlMs,
      reads,
      rules[0],
      whenChanged,
    ]),
    [
      ['user', 300_000, 'primary', { table: { schema: 'public', name: 'users' }, columns: ['id'] }, 'evict'],
      ['org-members', 60_000, 'primary', { table: { schema: 'public', name: 'users' }, columns: ['org_id'] }, 'evict'],
      ['product', 3_600_000, 'replica', { table: { schema: 'public', name: 'products' }, columns: ['id'] }, 'evict'],
      [
        'user-orders',
        30_000,
        'primary',
        { table: { schema: 'public', name: 'orders' }, columns: ['user_id'] },
        'evict',
      ],
    ],
  );
});

test('the log in Redis Streams has its own defaults', () => {
  const config = expectConfig(
    parseExample(EXAMPLE.replace(/^ {2}kafka: .*$/m, '  redisStreams: { url: "${REDIS_US}" }')),
  );
  assert.deepEqual(config.log, { kind: 'redis-streams', url: 'redis://us', partitions: 12, recordsMax: 1_000_000 });
});

test('a region’s Redis is one server, some nodes of a Redis Cluster, or what Sentinels call master', () => {
  const region = (redis: string) =>
    parseConfig(
      [{ name: 'f', text: HEAD.replace('redis://r', redis) + 'families: { f: { key: "f:{id}", ttl: 1m } }' }],
      {},
    );
  const place = (redis: string) => expectConfig(region(redis)).regions.get('eu')?.redis;
  assert.equal(place('rediss://u:p@r:1'), 'rediss://u:p@r:1');
  assert.deepEqual(place('{ cluster: ["redis://a:7000", "redis://b:7000"] }'), {
    cluster: ['redis://a:7000', 'redis://b:7000'],
  });
  const expected =
    'f:4 regions.eu.redis: the URL of the region’s Redis is expected, such as redis://host:6379, or the nodes of a Redis Cluster, such as { cluster: [redis://host:7000] }, or { sentinels: [redis://host:26379], master: redis://mymaster }';
  assert.deepEqual(place('{ sentinels: ["redis://a:26379"], master: "redis://u:p@shop/2" }'), {
    sentinels: ['redis://a:26379'],
    master: 'redis://u:p@shop/2',
  });
  assert.deepEqual(faultsOf(region('{ cluster: redis://a }')), [expected]);
  assert.deepEqual(faultsOf(region('{ nodes: ["redis://a"] }')), [expected]);
  assert.deepEqual(faultsOf(region('{ cluster: [] }')), [
    'f:4 regions.eu.redis.cluster: one node at least is expected, such as [redis://host:7000]',
  ]);
  assert.deepEqual(faultsOf(region('{ cluster: ["http://a"] }')), [
    'f:4 regions.eu.redis.cluster.0: the URL of a node is expected, such as redis://host:6379, or rediss:// for a connection by TLS',
  ]);
  assert.deepEqual(faultsOf(region('{ cluster: ["redis://a"], clusters: 1 }')), [
    'f:4 regions.eu.redis.clusters: "clusters" is not known here: was "cluster" meant?; known: cluster',
  ]);
});

test('a table may feed a family in two ways, and stand in another schema', () => {
  const families = 'families: { friends: { key: "f:{id}", ttl: 1m, on: { social.pairs: [{ a: id }, { b: id }] } } }';
  const { rules } = expectConfig(parseFamilies(families)).families.get('friends') ?? {};
  const table = { schema: 'social', name: 'pairs' };
  assert.deepEqual(rules, [
    { table, columns: ['a'] },
    { table, columns: ['b'] },
  ]);
});

test('columns stand in the order of the template’s parameters, whatever their order in the file', () => {
  const families = 'families: { m: { key: "o:{org}:{id}", ttl: 1m, on: { t: { user_id: id, org_id: org } } } }';
  const config = expectConfig(parseFamilies(families));
  assert.deepEqual(config.families.get('m')?.rules[0]?.columns, ['org_id', 'user_id']);
});

test('no secret is shown, and what has the name of one is', () => {
  const kafka = '  kafka: { brokers: ["k:1"], sasl: { mechanism: plain, username: u, password: s3cret } }';
  const families = 'families:\n  password: { key: "p:{id}", ttl: 1m, on: { p: { id: id } } }';
  const text = EXAMPLE.replace(/^ {2}kafka: .*$/m, kafka).replace('families:', families);
  const shown = JSON.stringify(redacted(expectConfig(parseExample(text))));
  assert.doesNotMatch(shown, /s3cret/);
  assert.match(shown, /postgres:\/\/app:\*\*\*@db\/shop/);
  assert.match(shown, /"username":"u","password":"\*\*\*"/);
  assert.match(shown, /"password":\{"name":"password"/);
});

test('a fault never shows the value: it may be a secret', () => {
  const text = `bus: b\nsource: { url: "s3cret" }\nlog: { redisStreams: { url: "redis://u:s3cret/x@h" } }\nregions: { eu: { redis: "http://s3cret" } }\n`;
  const said = faultsOf(parseConfig([{ name: 'f', text }], {})).join('\n');
  assert.match(said, /source\.url: .*\n.*log\.redisStreams\.url: .*\n.*regions\.eu\.redis: /);
  assert.doesNotMatch(said, /s3cret/);
});

test('a duration is a number with its unit', () => {
  const texts = ['250ms', '5s', '5m', '72h', '1d', '1.5s', '0.1s'];
  assert.deepEqual(texts.map(durationMs), [250, 5000, 300_000, 259_200_000, 86_400_000, 1500, 100]);
  for (const text of ['5', '5 m', 'm', '-5m', '1e3s', '5M', '5mm', '1h30m', '.5s']) assert.doesNotMatch(text, DURATION);
});

test('what is allowed but keeps old values is warned of', () => {
  assert.deepEqual(warningsOf('families: { f: { key: "f:{id}", ttl: 1m } }'), [
    'families.f: has no rule in `on`: nothing but messages and its ttl makes it old',
  ]);
  const tags = 'tags: { "t:{id}": { on: { t: { id: id } } } }';
  assert.match(
    warningsOf(`families: { f: { key: "f:{q}", ttl: 1m, tags: ["t:{id}"] } }\n${tags}`).join('|'),
    /^families\.f\.tags: found by its rows’ labels alone/,
  );
  const on = 'on: { t: { id: id } }';
  assert.match(
    warningsOf(`families: { f: { key: "f:{id}", ttl: 1m, ${on}, tags: ["t:{x}"] } }`).join('|'),
    /^families\.f\.tags\.0: nothing but messages makes the label "t:\{x\}" old/,
  );
  assert.match(
    warningsOf(`families: { f: { key: "f:{id}", ttl: 1m, ${on} } }\n${tags}`).join('|'),
    /^tags\.t:\{id\}: no family carries such a label/,
  );
  const unnamed = `families: { f: { key: "f:{id}", ttl: 1m, ${on}, source: "select id from t where id = {id}", tags: ["t:{x}"] } }\n${tags}`;
  assert.match(warningsOf(unnamed).join('|'), /^families\.f\.tags\.0: the label is printed from x of the loaded value/);
  assert.deepEqual(warningsOf(unnamed.replace('select id from', 'select * from')), []);
  assert.match(
    warningsOf(`families: { f: { key: "f:{id}", ttl: 1m, ${on}, when-changed: expire } }`).join('|'),
    /"expire" evicts, since the family has no `stale`/,
  );
  assert.match(
    warningsOf(`families: { f: { key: "f:{id}", ttl: 1m, ${on}, when-changed: refresh } }`).join('|'),
    /"refresh" evicts, since the family has no loader/,
  );
  const bounds = `families: { f: { key: "f:{id}", ttl: 1m, stale: 1m, ${on}, when-changed: expire } }`;
  assert.deepEqual(warningsOf(bounds), []);
  assert.deepEqual(
    warningsOf(`families: { f: { key: "f:{id}", ttl: 1m, load: true, ${on}, when-changed: refresh } }`),
    [],
  );
});

test('a program that loads a file with faults ends with all of them, and with what it could not read', async () => {
  const path = EXAMPLE_URL.pathname;
  const noEnvironment = await loadConfig([path], {}).then(
    () => assert.fail('it was loaded'),
    (error: unknown) => error as Error & { code: string },
  );
  assert.equal(noEnvironment.code, 'CONFIG_INVALID');
  const lines = noEnvironment.message.split('\n');
  assert.equal(lines.length, Object.keys(ENVIRONMENT).length);
  for (const name of Object.keys(ENVIRONMENT))
    assert.ok(
      lines.some((line) => line.includes(`variable ${name} is not set`)),
      name,
    );
  await assert.rejects(loadConfig([`${path}.none`], {}), { code: 'CONFIG_INVALID', message: /cannot be read: ENOENT/ });
  assert.equal((await loadConfig([path], ENVIRONMENT)).bus, 'shop');
});

function warningsOf(families: string): string[] {
  const result = parseFamilies(families);
  assert.deepEqual(faultsOf(result), []);
  return result.warnings.map(({ path, message }) => `${path}: ${message}`);
}
