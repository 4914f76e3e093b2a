import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, type Connection } from '../../src/drivers/postgres/connection.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { configOf, RunningRelay, setUp } from '../support/running-relay.ts';

const FAMILIES = { user: { key: 'user:{id}', ttl: '1m', on: { users: { id: 'id' } } } };
const IDLE_RECORDS = 8;
let postgres: PostgresServer;
let sql: Connection;
let relay: RunningRelay | undefined;

before(async () => {
  postgres = await startPostgres();
  sql = await connect(postgres.url, { applicationName: 'test' });
  await sql.query('create table public.users (id bigint primary key, name text)');
});
after(async () => {
  await relay?.stop();
  await sql?.close();
  await postgres?.stop();
});

/** Waits until the relay has told both partitions that it lives, so many times more. */
async function idles(running: RunningRelay): Promise<void> {
  const enough = running.records().length + 2 * IDLE_RECORDS;
  await eventually('idle records', () => running.records().length >= enough);
}

test('a relay that has nothing unsettled asks for no snapshot, and after a commit only until that is visible', async () => {
  const config = configOf(postgres.url, FAMILIES);
  await setUp(sql, config);
  relay = new RunningRelay(config);
  const running = relay;
  await sql.query(`insert into public.users values (1, 'a')`);
  await eventually('the insert', () => running.records().some(({ transactions }) => transactions.length > 0));
  await idles(running);
  const before = running.snapshots;
  assert.ok(before > 0, 'the beginning and the first commit took some');
  await idles(running);
  assert.equal(running.snapshots, before);
  await sql.query(`update public.users set name = 'b'`);
  await idles(running);
  const then = running.snapshots;
  assert.ok(then > before, 'the commit took some');
  await idles(running);
  assert.equal(running.snapshots, then);
});
