import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify, type Doing } from '../../src/protocol/sqlstate.ts';
import { clientConfig, placeOf } from '../../src/drivers/postgres/client-config.ts';
import { isSynchronousStandby } from '../../src/drivers/postgres/synchronous-standby.ts';
import { BusError, type ErrorCode, isBusError } from '../../src/protocol/errors.ts';

const table: readonly (readonly [code: string, doing: Doing, expected: ErrorCode])[] = [
  ['55006', 'slot', 'POSTGRES_SLOT_ACTIVE'],
  ['55000', 'slot', 'POSTGRES_SLOT_INVALIDATED'],
  ['55000', 'query', 'POSTGRES_QUERY_FAILED'],
  ['42704', 'slot', 'POSTGRES_SLOT_MISSING'],
  ['42704', 'stream', 'POSTGRES_PUBLICATION_MISSING'],
  ['42704', 'query', 'POSTGRES_QUERY_FAILED'],
  ['57P01', 'stream', 'POSTGRES_SHUTDOWN'],
  ['57P02', 'query', 'POSTGRES_CRASHED'],
  ['57P03', 'connect', 'POSTGRES_UNREACHABLE'],
  ['53300', 'connect', 'POSTGRES_UNREACHABLE'],
  ['28P01', 'connect', 'POSTGRES_AUTHENTICATION'],
  ['28000', 'connect', 'POSTGRES_AUTHENTICATION'],
  ['3D000', 'connect', 'POSTGRES_AUTHENTICATION'],
  ['42501', 'slot', 'POSTGRES_PERMISSION'],
  ['08006', 'stream', 'POSTGRES_UNREACHABLE'],
  ['57014', 'query', 'POSTGRES_TIMEOUT'],
  ['55P03', 'query', 'POSTGRES_TIMEOUT'],
  ['XX000', 'stream', 'POSTGRES_QUERY_FAILED'],
  ['ECONNREFUSED', 'connect', 'POSTGRES_UNREACHABLE'],
  ['ENOTFOUND', 'connect', 'POSTGRES_UNREACHABLE'],
  ['ECONNRESET', 'stream', 'POSTGRES_UNREACHABLE'],
  ['EPIPE', 'stream', 'POSTGRES_UNREACHABLE'],
];

for (const [code, doing, expected] of table) {
  test(`${code} while asked for a ${doing} is ${expected}, whatever its text says`, () => {
    const misleading = Object.assign(new Error('replication slot is active'), { code });
    const classified = classify(misleading, doing, 'db:5432/shop');
    assert.equal(classified.code, expected);
    assert.equal(classified.at, 'db:5432/shop');
    assert.equal(classified.cause, misleading);
  });
}

test('an error without any code is one of the connection, and one of ours stays as it is', () => {
  assert.equal(classify(new Error('Connection terminated unexpectedly'), 'query').code, 'POSTGRES_UNREACHABLE');
  const ours = new BusError('PGOUTPUT_MALFORMED', 'x');
  assert.equal(classify(ours, 'stream'), ours);
});

test('a URL that is none is a fault of the setting, and the text does not repeat it', () => {
  assert.throws(
    () => clientConfig('user:hunter2@host', { applicationName: 'a', settings: {} }),
    (error) => isBusError(error, 'SETTING_INVALID') && !error.message.includes('hunter2') && error.cause === undefined,
  );
});

test('the session’s settings and name stand beside what the URL asks for, and the place names no secret', () => {
  const url =
    'postgres://user:hunter2@db.example:6432/shop?application_name=theirs&options=-c%20geqo%3Doff&sslmode=disable';
  const config = clientConfig(url, { applicationName: 'ours', settings: { wal_sender_timeout: '10s' } });
  const made = new URL(config.connectionString ?? '');
  assert.equal(made.searchParams.get('options'), '-c geqo=off -c wal_sender_timeout=10s');
  assert.equal(made.searchParams.get('application_name'), 'ours');
  assert.equal(made.searchParams.get('sslmode'), 'disable');
  assert.equal(placeOf(url), 'db.example:6432/shop');
});

const standbys: readonly (readonly [names: string, expected: boolean])[] = [
  ['', false],
  ['*', true],
  ['replica1, replica2', false],
  ['replica1, "Afterwrite-Relay-Shop"', true],
  ['FIRST 1 (replica1, "afterwrite-relay-shop")', true],
  ['any 2 (replica1, replica2, *)', true],
  ['2 (replica1, replica2)', false],
  ['"first*"', false],
  ['"*"', true],
];

for (const [names, expected] of standbys) {
  test(`synchronous_standby_names = ${names} ${expected ? 'waits' : 'does not wait'} for the relay`, () => {
    assert.equal(isSynchronousStandby(names, 'afterwrite-relay-shop'), expected);
  });
}
