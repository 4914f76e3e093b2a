import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigResult, parseConfig } from '../../src/config/parse-config.ts';
import { ENVIRONMENT, EXAMPLE, expectConfig, faultsOf, parseFamilies } from '../support/config-text.ts';

test('variables are put into values: with or without quotes, whole or in part, as text, number or switch', () => {
  const text = `bus: b
source: { url: \${PG} } # not in a comment: \${NOWHERE}
log: { kafka: { brokers: [\${HOST}:\${PORT}], partitions: \${PARTITIONS}, sasl: { mechanism: plain, username: u, password: "$\${HOST}, $\${, \${TRICK}" } } }
regions: { eu: { redis: "redis://\${HOST}" } }
observe: \${OBSERVE}
families:
  f: { key: "f:{id}", ttl: \${TTL}, on: { t: { id: id } } }
`;
  const env = {
    PG: 'postgres://p',
    HOST: 'h',
    PORT: '9',
    PARTITIONS: '24',
    OBSERVE: 'true',
    TTL: '5m',
    TRICK: '${HOST}: {#',
  };
  const config = expectConfig(parseConfig([{ name: 'f', text }], env));
  assert.equal(config.source.url, 'postgres://p');
  assert.ok(config.log.kind === 'kafka');
  assert.deepEqual([config.log.brokers, config.log.partitions], [['h:9'], 24]);
  assert.equal(config.log.sasl?.password, '${HOST}, ${, ${HOST}: {#');
  assert.equal(config.families.get('f')?.ttlMs, 300_000);
  assert.deepEqual([config.regions.get('eu')?.redis, config.observe], ['redis://h', true]);
});

test('a variable that is not set, or empty, or no variable, is named by its place', () => {
  const text = 'a: { b: ["${X}", "${Y}${Z}", "${9}", "${X"] }';
  const said = faultsOf(parseConfig([{ name: 'f', text }], { Y: '', Z: 'z' })).filter((one) => one.includes(' a.b'));
  assert.deepEqual(said, [
    'f:1 a.b.0: the environment variable X is not set, or empty',
    'f:1 a.b.1: the environment variable Y is not set, or empty',
    'f:1 a.b.2: "${9}" names no variable: letters, digits and "_" are expected, as in ${PG_URL}',
    'f:1 a.b.3: "${" begins a variable that does not end: ${NAME} is expected, or $${ for the two characters',
  ]);
});

test('anchors, aliases and merge keys are read; one that contains itself is a fault and no endless loop', () => {
  const families = `families:
  a: &a { key: "a:{id}", ttl: 1m, on: &on { t: { id: id } } }
  b: { key: "b:{id}", ttl: 2m, on: *on }
  c: { <<: *a, key: "c:{id}" }
`;
  const config = expectConfig(parseFamilies(families));
  assert.deepEqual(config.families.get('b')?.rules, config.families.get('a')?.rules);
  assert.equal(config.families.get('c')?.ttlMs, 60_000);
  const faultOf = (text: string): string => faultsOf(parseFamilies(text))[0] ?? '';
  assert.match(faultOf('families: &a { x: *a }'), /^f:5 families\.x: this alias stands inside of its own anchor/);
  assert.match(faultOf('families: { x: *nothing }'), /^f:5: "\*nothing" stands for nothing/);
  assert.match(faultOf('families: { x: *a${X} }'), /^f:5: "\*a\$\{X\}" stands for nothing/);
  assert.match(faultOf('families: !env X'), /^f:5: this is no valid YAML: Unresolved tag: !env/);
  assert.match(
    faultOf(`x: &a [1]\n${bomb(9)}families: *j`),
    /^f:\d+: this is no YAML that can be read: Excessive alias count/,
  );
});

/** Each line stands for nine times the line before. */
function bomb(lines: number): string {
  const name = (i: number): string => String.fromCharCode(97 + i);
  const nine = (i: number): string => Array.from({ length: 9 }, () => `*${name(i)}`).join(', ');
  return Array.from({ length: lines }, (_, i) => `x${i}: &${name(i + 1)} [${nine(i)}]\n`).join('');
}

test('several files are joined, and what stands twice names both places', () => {
  const joined = (text: string): ConfigResult =>
    parseConfig(
      [
        { name: 'b.yaml', text: EXAMPLE },
        { name: 'a.yaml', text },
      ],
      ENVIRONMENT,
    );
  const more = 'families:\n  extra: { key: "extra:{id}", ttl: 1m, on: { extras: { id: id } } }\n';
  assert.deepEqual(
    [...expectConfig(joined(more)).families.keys()],
    ['user', 'org-members', 'product', 'user-orders', 'extra'],
  );
  const line = (start: string): number => EXAMPLE.split('\n').findIndex((one) => one.startsWith(start)) + 1;
  const twice =
    'bus: other\nregions: { sa: { redis: redis://sa } }\nfamilies:\n  user: { key: "u:{id}", ttl: 1 }\ntags:\n  "org:{id}": {}\n';
  assert.deepEqual(faultsOf(joined(twice)), [
    `a.yaml:1 bus: stands in b.yaml:${line('bus:')} already: one place is expected`,
    `a.yaml:2 regions: stands in b.yaml:${line('regions:')} already: one place is expected`,
    `a.yaml:4 families.user: stands in b.yaml:${line('  user:')} already: one place is expected`,
    `a.yaml:6 tags.org:{id}: stands in b.yaml:${line('  "org:{id}"')} already: one place is expected`,
  ]);
});

test('of a file that cannot be read, nothing is said to be missing', () => {
  const files = [
    { name: 'a', text: 'bus: b\nfamilies: {\n\n' },
    { name: 'b', text: 'families:\n  f: { key: "f:{id}" }\n' },
  ];
  assert.deepEqual(faultsOf(parseConfig(files, {})), [
    'a:2: this is no valid YAML: Flow map in block collection must be sufficiently indented and end with a }',
    'b:2 families.f.ttl: a time to live is expected, a number with its unit: 250ms, 30s, 5m, 72h, 1d',
  ]);
});
