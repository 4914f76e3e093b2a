import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { printFault } from '../../src/config/fault.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

const FOLDER = new URL('../fixtures/broken-config/', import.meta.url);
const ENVIRONMENT = { PG_URL: 'postgres://app:secret@db/shop', REDIS_EU: 'redis://eu' };

/** Each broken file with all that is said of it: place, path, and what would be right. */
const SAID: Readonly<Record<string, readonly string[]>> = {
  '01-not-yaml.yaml': [
    '01-not-yaml.yaml:3: this is no valid YAML: Flow map in block collection must be sufficiently indented and end with a }',
  ],
  '02-missing-variables.yaml': [
    '02-missing-variables.yaml:2 source.url: the environment variable PG_URI is not set, or empty',
    '02-missing-variables.yaml:4 regions.eu.replicas.0: the environment variable PG_EU is not set, or empty',
  ],
  '03-unknown-keys.yaml': [
    '03-unknown-keys.yaml:5 familys: "familys" is not known here: was "families" meant?; known: bus, prefix, source, log, regions, families, tags, observe, limits',
    '03-unknown-keys.yaml:7 families.user.whenchanged: "whenchanged" is not known here: was "when-changed" meant?; known: key, ttl, source, load, on, reads, tags, when-changed',
  ],
  '04-no-ttl.yaml': [
    '04-no-ttl.yaml:6 families.user.ttl: a time to live is expected, a number with its unit: 250ms, 30s, 5m, 72h, 1d',
    '04-no-ttl.yaml:7 families.org.ttl: a time to live is expected, and 300 has no unit: 300s, 300m or 300ms would have one',
  ],
  '05-two-loaders.yaml': [
    '05-two-loaders.yaml:7 families.user.load: two loaders: either source or load is expected, not both',
  ],
  '06-parameter-without-rule.yaml': [
    '06-parameter-without-rule.yaml:6 families.member.on.users: no column supplies the parameter {org_id}: one is expected, such as org_id: org_id',
    '06-parameter-without-rule.yaml:6 families.member.on.orgs: no column supplies the parameter {org_id}: one is expected, such as org_id: org_id',
    '06-parameter-without-rule.yaml:6 families.member.on.orgs: no column supplies the parameter {id}: one is expected, such as id: id',
    '06-parameter-without-rule.yaml:6 families.member.on.orgs.id: "org:{org_id}:user:{id}" has no parameter {org}; its parameters: {org_id}, {id}',
  ],
  '07-unclear-template.yaml': [
    '07-unclear-template.yaml:6 families.pair.key: "{a}" and "{b}" need a separator such as ":" between them, or two keys could print alike',
    '07-unclear-template.yaml:7 families.dash.key: "{a}" and "{b}" need a separator such as ":" between them, or two keys could print alike',
    '07-unclear-template.yaml:8 families.open.key: a brace is not closed, or not opened',
  ],
  '08-same-keys.yaml': [
    '08-same-keys.yaml:7 families.person.key: prints the same keys as family "user": each family needs a template of its own shape',
  ],
  '09-two-logs.yaml': [
    '09-two-logs.yaml:1 bus: the name of the bus is expected: lower-case letters, digits, "_" and "-", beginning with a letter, 41 at most',
    '09-two-logs.yaml:2 source.url: the URL of the primary is expected, such as postgres://user:password@host:5432/database',
    '09-two-logs.yaml:3 log.kafka.brokers.0: a broker is expected: host:port, such as kafka:9092',
    '09-two-logs.yaml:3 log: exactly one of kafka and redisStreams is expected',
    '09-two-logs.yaml:4 regions: one region at least is expected, such as regions: { eu: { redis: ${REDIS_EU} } }',
  ],
  '10-rules-and-places.yaml': [
    '10-rules-and-places.yaml:6 families.near.reads: primary or replica is expected',
    '10-rules-and-places.yaml:8 families.user.ttl: a time to live is expected, above 0 and at most 3650d',
    '10-rules-and-places.yaml:8 families.user.on.users; drop: "users; drop" is no table: a name is expected, or schema.name',
    '10-rules-and-places.yaml:8 families.user.source: {user_id} is no parameter of the key; its parameters: {id}',
  ],
  '11-twice.yaml': ['11-twice.yaml:7: this is no valid YAML: Map keys must be unique'],
};

test('every broken file has its messages, and every message its file', () => {
  assert.deepEqual(Object.keys(SAID).toSorted(), readdirSync(FOLDER).toSorted());
});

for (const [name, said] of Object.entries(SAID)) {
  test(`${name} is refused with all of its faults at once`, () => {
    const result = parseConfig([{ name, text: readFileSync(new URL(name, FOLDER), 'utf8') }], ENVIRONMENT);
    assert.equal(result.kind, 'faults');
    if (result.kind === 'faults') assert.deepEqual(result.faults.map(printFault), said);
  });
}
