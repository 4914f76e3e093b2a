import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { connect, type Connection } from '../../src/drivers/postgres/connection.ts';
import { lookAtSource } from '../../src/drivers/postgres/snapshot.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { configOf, RunningRelay, setUp } from '../support/running-relay.ts';

const FAMILIES = { user: { key: 'user:{id}', ttl: '1m', on: { users: { id: 'id' } } } };
const IDLE_RECORDS = 8;
let postgres: PostgresServer;
let sql: Connection;
let relay: RunningRelay | undefined;

beforeEach(() => (relay = undefined));
afterEach(() => relay?.stop());
before(async () => {
  postgres = await startPostgres();
  sql = await connect(postgres.url, { applicationName: 'test' });
  await sql.query('create table public.users (id bigint primary key, name text)');
});
after(async () => {
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

test('a relay looks at clock and log of an idle source once a second at most, takes no snapshot for it, and stays fresh', async () => {
  const config = configOf(postgres.url, FAMILIES, { bus: 'quiet' });
  await setUp(sql, config);
  const clock = new FakeClock();
  relay = new RunningRelay(config, new MemoryLog(2), clock);
  const running = relay;
  /** A quarter of a second, in which both partitions hear that the relay lives, and a look that is due is answered. */
  const quarter = async (): Promise<void> => {
    const heard = [0, 1].map((partition) => running.times(partition).length);
    await clock.advance(250);
    await eventually('a record in each', () => [0, 1].every((p) => running.times(p).length > (heard[p] ?? 0)));
    await eventually('the answer', () => running.answers === running.looks);
  };
  const isFresh = async (): Promise<void> => {
    const { askedAtMs } = await lookAtSource(sql);
    await eventually('fresh', async () => {
      await quarter();
      return [0, 1].every((partition) => running.times(partition).some((ms) => ms > askedAtMs));
    });
  };
  await eventually('records', () => clock.advance(250).then(() => running.records().length > 0));
  await sql.query(`insert into public.users values (2, 'a')`);
  await isFresh();
  // What the server itself may still write, such as the list of running transactions, is news too: a look or two.
  const SECONDS = 6;
  const { looks, snapshots } = running;
  for (let i = 0; i < 4 * SECONDS; i++) await quarter();
  assert.ok(running.looks - looks <= 2 * SECONDS, `${running.looks - looks} looks in ${SECONDS} seconds`);
  assert.equal(running.snapshots, snapshots);
  await isFresh();
});
