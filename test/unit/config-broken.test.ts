import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { printFault } from '../../src/config/fault.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

const FOLDER = new URL('../fixtures/broken-config/', import.meta.url);
const ENVIRONMENT = { PG_URL: 'postgres://app:secret@db/shop', REDIS_EU: 'redis://eu' };

/** Each broken file with all that is said of it after its name: line, path, and what would be right. */
const SAID: Readonly<Record<string, readonly string[]>> = {
  '01-two-documents.yaml': [':2: one document is expected, and another begins with "---"'],
  '02-missing-variables.yaml': [
    ':2 source.url: the environment variable PG_URI is not set, or empty',
    ':4 regions.eu.replicas.0: the environment variable PG_EU is not set, or empty',
  ],
  '03-unknown-keys.yaml': [
    ':5 familys: "familys" is not known here: was "families" meant?; known: bus, prefix, source, log, regions, families, tags, buffers, warmup, observe, limits',
    ':7 families.user.whenchanged: "whenchanged" is not known here: was "when-changed" meant?; known: key, ttl, jitter, absent, early, source, load, on, reads, rows, stale, local, values, codec, compress, version, too-stale, tags, when-changed',
  ],
  '04-no-ttl.yaml': [
    ':6 families.user.ttl: a time to live is expected, a number with its unit: 250ms, 30s, 5m, 72h, 1d',
    ':7 families.org.ttl: a time to live is expected, and 300 has no unit: 300s, 300m or 300ms would have one',
  ],
  '05-two-loaders.yaml': [':7 families.user.load: two loaders: either source or load is expected, not both'],
  '06-parameter-without-rule.yaml': [
    ':6 families.member.on.users: no column supplies the parameter {org_id}: one is expected, such as org_id: org_id',
    ':6 families.member.on.orgs: no column supplies the parameter {org_id}: one is expected, such as org_id: org_id',
    ':6 families.member.on.orgs: no column supplies the parameter {id}: one is expected, such as id: id',
    ':6 families.member.on.orgs.id: "org:{org_id}:user:{id}" has no parameter {org}; its parameters: {org_id}, {id}',
  ],
  '07-unclear-template.yaml': [
    ':6 families.pair.key: "{a}" and "{b}" need a separator such as ":" between them, or two keys could print alike',
    ':7 families.dash.key: "{a}" and "{b}" need a separator such as ":" between them, or two keys could print alike',
    ':8 families.open.key: a brace is not closed, or not opened',
  ],
  '08-same-keys.yaml': [
    ':7 families.person.key: prints the same keys as family "user": each family needs a template of its own shape',
  ],
  '09-two-logs.yaml': [
    ':1 bus: the name of the bus is expected: lower-case letters, digits, "_" and "-", beginning with a letter, 41 at most',
    ':2 source.url: the URL of the primary is expected, such as postgres://user@host:5432/database',
    ':3 log.kafka.brokers.0: a broker is expected: host:port, such as kafka:9092',
    ':3 log: exactly one of kafka and redisStreams is expected',
    ':4 regions: one region at least is expected, such as regions: { eu: { redis: ${REDIS_EU} } }',
  ],
  '10-rules-and-places.yaml': [
    ':6 families.near.reads: primary or replica is expected',
    ':8 families.user.ttl: a time to live is expected, above 0 and at most 3650d',
    ':8 families.user.on.users; drop: "users; drop" is no table: a name is expected, or schema.name',
    ':8 families.user.source: {user_id} is no parameter of the key; its parameters: {id}',
  ],
  '11-twice.yaml': [
    ':7 families.user: stands in line 6 already: one place is expected',
    ':8 families.org.on.orgs: no column supplies the parameter {id}: one is expected, such as id: id',
    ':8 families.org.on.orgs.id: "org:{id}" has no parameter {org}; its parameters: {id}',
  ],
  '12-variables-and-tags.yaml': [
    ':2 prefix: what stands before every value key is expected: letters, digits, ".", "_", ":" and "-", 60 at most',
    ':3 source.publication: the name of the publication is expected: letters, digits, "_" and "$", 63 at most',
    ':4 log.redisStreams.url: "${REDIS-EU}" names no variable: letters, digits and "_" are expected, as in ${PG_URL}',
    ':4 log.redisStreams.recordsMax: the number of records is expected: a whole number from 1 to 100000000',
    ':5 regions.eu.redis: "${" begins a variable that does not end: ${NAME} is expected, or $${ for the two characters',
    ':5 regions.EU: the name of a region is expected: lower-case letters, digits, "_" and "-", beginning with a letter, 41 at most',
    ':5 regions.eu.replicas: a list of the read replicas’ URLs is expected, such as ["${PG_EU}"]',
    ':7 families.pair.tags.0: a brace is not closed, or not opened',
    ':7 families.pair.on.pairs: a and b both supply {id}: one column is expected; a table that gives the key in two ways has a list of maps, such as [{ a: id }, { b: id }]',
    ':9 tags.org:{id}.on.orgs: no column supplies the parameter {id}: one is expected, such as id: id',
    ':9 tags.org:{id}.on.orgs.id: "org:{id}" has no parameter {org_id}; its parameters: {id}',
    ':10 limits: a map of limits is expected, such as { keysPerTransactionMax: 10000 }',
  ],
  '13-warm-up.yaml': [
    ':8 warmup.target: the share of reads at which a region is warm is expected: from 0% to 99.99%, such as 10%, or 0',
    ':9 warmup.batchMax: the number of keys is expected: a whole number from 1 to 1000',
    ':10 warmup.hotKeys: the number of keys is expected: a whole number from 1 to 1000000',
  ],
  '14-warm-up-bounds.yaml': [
    ':8 warmup.ramp: goes down: each step is expected at a larger share, and to admit no less',
    ':9 warmup.concurrencyMin: is more than concurrencyMax (4)',
    ':11 warmup.latencyMax: is longer than statementTimeout (5000 ms)',
  ],
};

test('every broken file has its messages, and every message its file', () => {
  assert.deepEqual(Object.keys(SAID).toSorted(), readdirSync(FOLDER).toSorted());
});

for (const [name, said] of Object.entries(SAID)) {
  test(`${name} is refused with all of its faults at once`, () => {
    const result = parseConfig([{ name, text: readFileSync(new URL(name, FOLDER), 'utf8') }], ENVIRONMENT);
    assert.equal(result.kind, 'faults');
    if (result.kind === 'faults')
      assert.deepEqual(
        result.faults.map(printFault),
        said.map((one) => name + one),
      );
  });
}
