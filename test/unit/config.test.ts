import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { checkCatalog } from '../../src/config/catalog-check.ts';
import type { TableFacts } from '../../src/config/catalog-facts.ts';
import { printFault } from '../../src/config/fault.ts';
import { durationMs } from '../../src/config/duration.ts';
import { fileJsonSchema } from '../../src/config/file-schema.ts';
import { type ConfigResult, parseConfig } from '../../src/config/parse-config.ts';
import { redacted } from '../../src/config/redacted.ts';
import type { BusConfig } from '../../src/config/bus-config.ts';

const EXAMPLE = readFileSync(new URL('../../examples/shop/afterwrite.yaml', import.meta.url), 'utf8');
const ENVIRONMENT = {
  PG_URL: 'postgres://app:s3cret@db/shop',
  PG_REPLICA: 'postgres://app:s3cret@replica/shop',
  KAFKA_BROKER: 'kafka:9092',
  REDIS_EU: 'redis://:s3cret@eu',
  REDIS_US: 'redis://us',
  REDIS_AP: 'redis://ap',
};

function configOf(result: ConfigResult): BusConfig {
  if (result.kind === 'faults') throw new Error(result.faults.map(printFault).join('\n'));
  return result.config;
}

const example = (text = EXAMPLE): ConfigResult => parseConfig([{ name: 'afterwrite.yaml', text }], ENVIRONMENT);

test('the example is right, with defaults where it says nothing', () => {
  const config = configOf(example());
  assert.equal(config.prefix, 'shop:');
  assert.deepEqual(
    [config.source.publication, config.source.slotPrefix, config.source.asynchronousCommits],
    ['afterwrite_shop', 'afterwrite_shop', true],
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
  assert.deepEqual(config.families.get('user')?.rules, [
    { table: { schema: 'public', name: 'users' }, columns: ['id'] },
  ]);
});

test('no secret is shown', () => {
  const kafka = '{ kafka: { brokers: ["k:1"], sasl: { mechanism: plain, username: u, password: s3cret } } }';
  const text = EXAMPLE.replace(/^log: .*$/m, `log: ${kafka}`);
  const shown = JSON.stringify(redacted(configOf(example(text))));
  assert.doesNotMatch(shown, /s3cret/);
  assert.match(shown, /postgres:\/\/app:\*\*\*@db\/shop/);
});

test('several files are joined, and what stands twice names both places', () => {
  const more = 'families:\n  extra: { key: "extra:{id}", ttl: 1m, on: { extras: { id: id } } }\n';
  const joined = parseConfig(
    [
      { name: 'a.yaml', text: EXAMPLE },
      { name: 'b.yaml', text: more },
    ],
    ENVIRONMENT,
  );
  assert.deepEqual([...configOf(joined).families.keys()], ['user', 'org-members', 'extra']);
  const twice = parseConfig(
    [
      { name: 'a.yaml', text: EXAMPLE },
      { name: 'b.yaml', text: 'bus: other\nfamilies:\n  user: { key: "u:{id}", ttl: 1m }\n' },
    ],
    ENVIRONMENT,
  );
  assert.equal(twice.kind, 'faults');
  if (twice.kind === 'faults') {
    assert.deepEqual(twice.faults.map(printFault), [
      'b.yaml:1 bus: stands in a.yaml:2 already: one place is expected',
      'b.yaml:3 families.user: stands in a.yaml:13 already: one place is expected',
    ]);
  }
});

test('a rule hash changes with what decides, and with nothing else', () => {
  const hash = (text: string): string | undefined => configOf(example(text)).families.get('user')?.ruleHash;
  const first = hash(EXAMPLE);
  assert.match(first ?? '', /^[0-9a-f]{16}$/);
  assert.equal(hash(EXAMPLE.replace('ttl: 5m', 'ttl: 6m')), first);
  for (const change of [
    ['"user:{id}"', '"u:{id}"'],
    ['{ users: { id: id } }', '{ people: { id: id } }'],
    ['"org:{org_id}"]', '"o:{org_id}"]'],
    ['bus: shop', 'bus: mall'],
  ] as const) {
    assert.notEqual(hash(EXAMPLE.replace(change[0], change[1])), first, change[1]);
  }
});

test('durations have a unit', () => {
  assert.deepEqual(
    ['250ms', '5s', '5m', '72h', '1d', '1.5s'].map(durationMs),
    [250, 5000, 300_000, 259_200_000, 86_400_000, 1500],
  );
});

test('the JSON Schema accepts the example and refuses what the file may not hold', () => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(fileJsonSchema());
  const value = parse(EXAMPLE) as Record<string, unknown>;
  assert.equal(validate(value), true, JSON.stringify(validate.errors));
  assert.equal(validate({ ...value, familys: {} }), false);
});

const table = (name: string, more: Partial<TableFacts> = {}): [string, TableFacts] => {
  const columns = ['id', 'org_id', 'name'].map((column) => ({
    name: column,
    typeOid: column === 'name' ? 25 : 20,
    baseType: column === 'name' ? 'text' : 'int8',
    isDeterministic: true,
  }));
  const stored = [{ schema: 'public', name, identity: { columns: ['id', 'org_id', 'name'] } }];
  return [`public.${name}`, { schema: 'public', name, kind: 'table', isUnlogged: false, columns, stored, ...more }];
};

test('the catalog gives the types of key parameters, and every fault at once', () => {
  const config = configOf(example());
  const good = checkCatalog(config, new Map([table('users'), table('orgs')]));
  assert.deepEqual([good.faults, good.warnings], [[], []]);
  assert.deepEqual(
    good.parameterTypes,
    new Map([
      ['user', ['integer']],
      ['org-members', ['integer']],
    ]),
  );
  const faultsOf = (...tables: [string, TableFacts][]): string[] =>
    checkCatalog(config, new Map(tables)).faults.map(({ message }) => message);
  assert.match(faultsOf(table('users'))[0] ?? '', /public\.orgs does not exist/);
  assert.match(faultsOf(table('users', { kind: 'view' }), table('orgs'))[0] ?? '', /is a view/);
  assert.match(faultsOf(table('users', { isUnlogged: true }), table('orgs'))[0] ?? '', /unlogged/);
  assert.match(faultsOf(table('users', { columns: [] }), table('orgs'))[0] ?? '', /no column "id"/);
  const numeric = [{ name: 'id', typeOid: 1700, baseType: 'numeric', isDeterministic: true }];
  assert.match(
    faultsOf(table('users'), table('orgs', { columns: numeric }))[0] ?? '',
    /type numeric, which has no canonical text: text, varchar/,
  );
  const loose = [{ name: 'id', typeOid: 25, baseType: 'text', isDeterministic: false }];
  assert.match(faultsOf(table('users'), table('orgs', { columns: loose }))[0] ?? '', /nondeterministic collation/);
  const bare = [{ schema: 'public', name: 'orgs', identity: { columns: null } }];
  assert.match(faultsOf(table('users'), table('orgs', { stored: bare }))[0] ?? '', /no replica identity/);
  const small = [{ schema: 'public', name: 'users', identity: { columns: ['id'] } }];
  const { warnings } = checkCatalog(config, new Map([table('users', { stored: small }), table('orgs')]));
  assert.deepEqual(
    warnings.map(({ path, repair }) => [path, repair]),
    [['families.org-members.on.users', 'afterwrite setup']],
  );
});
