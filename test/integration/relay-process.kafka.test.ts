import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { lsnFromPostgres } from '../../src/protocol/lsn.ts';
import { eventually } from '../support/eventually.ts';
import { metricOf, openStage, SHOP, SHOP_FAMILIES, type Stage } from '../support/stage.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { stopProcess } from '../support/stop-process.ts';

let stage: Stage;

before(async () => {
  stage = await openStage({ log: 'kafka', schema: SHOP, families: SHOP_FAMILIES });
  await stage.startAgent('agent');
  await stage.sql.query(`insert into users select n, n % 10, 'n' from generate_series(1, 500) n`);
});

after(() => stage.close());

async function confirmedLsn(): Promise<bigint> {
  const [row] = await stage.sql.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots',
  );
  return lsnFromPostgres(row?.lsn ?? '');
}

async function walEnd(): Promise<bigint> {
  const [row] = await stage.sql.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  return lsnFromPostgres(row?.lsn ?? '');
}

async function fill(from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id++) await stage.redis.set(`user:${id}`, 'old', 'EX', 600);
}

function left(from: number, to: number): Promise<number> {
  return stage.redis.exists(...Array.from({ length: to - from + 1 }, (_, i) => `user:${from + i}`));
}

test('a relay killed between the log’s answer and the confirmation loses nothing, and repeats harmlessly', async (t) => {
  const { hostname, port } = new URL(stage.url);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  t.after(() => proxy.close());
  const relay = await stage.startRelay(
    'relay-behind-proxy',
    await stage.withUrls((text) => text.replaceAll(`${hostname}:${port}`, `127.0.0.1:${proxy.port}`)),
  );
  await stage.sql.query(`update users set name = 'a' where id = 1`);
  const start = await walEnd();
  await eventually('the relay confirms', async () => (await confirmedLsn()) >= start);
  await fill(1, 100);
  // From here Postgres hears nothing of the relay, on either connection; what it streams still comes.
  proxy.swallowRequests();
  const sentBefore = (await metricOf(relay.httpPort, 'afterwrite_relay_records_sent_total')) ?? 0;
  await stage.sql.query(`update users set name = 'b' where id <= 50`);
  const end = await walEnd();
  await eventually(
    'the log has the evictions',
    async () =>
      ((await metricOf(relay.httpPort, 'afterwrite_relay_records_sent_total')) ?? 0) > sentBefore &&
      (await left(1, 50)) === 0,
  );
  assert.ok((await confirmedLsn()) < end, 'Postgres has been told nothing');
  await stage.kill(relay);
  await fill(1, 50);
  const second = await stage.startRelay('relay');
  await stage.sql.query(`update users set name = 'c' where id between 51 and 100`);
  await eventually('repeated: what was put back is evicted again', async () => (await left(1, 100)) === 0);
  const settled = await walEnd();
  await eventually('confirmed', async () => (await confirmedLsn()) >= settled);
  await second.stop();
});

test('a relay killed at any moment under load misses no eviction', async () => {
  for (let round = 0; round < 4; round++) {
    await fill(1, 500);
    const relay = await stage.startRelay(`relay-round-${round}`);
    const killAfter = 40 + round * 30;
    for (let id = 1; id <= 500; id++) {
      await stage.sql.query(`update users set name = $1 where id = $2`, [`r${round}`, id]);
      if (id === killAfter) await stage.kill(relay);
    }
    const next = await stage.startRelay(`relay-round-${round}-again`);
    await eventually(`round ${round}: every key is gone`, async () => (await left(1, 500)) === 0);
    await next.stop();
  }
});

test('a second relay takes over from a stopped one within 15 s, which changes nothing when it goes on', async (t) => {
  const first = await stage.startRelay('relay-first');
  const second = await stage.startRelay('relay-second');
  const streaming = (port: number): Promise<number | undefined> => metricOf(port, 'afterwrite_relay_streaming');
  assert.equal(await streaming(first.httpPort), 1);
  assert.equal(await streaming(second.httpPort), 0);
  await fill(1, 20);
  const stoppedAt = performance.now();
  await stopProcess(first.pid);
  await stage.sql.query(`update users set name = 'stopped' where id <= 10`);
  await eventually('taken over', async () => (await streaming(second.httpPort)) === 1, 15_000);
  await eventually('evicted', async () => (await left(1, 10)) === 0, 15_000);
  t.diagnostic(`taken over and evicted after ${Math.round(performance.now() - stoppedAt)} ms`);
  const confirmed = await confirmedLsn();
  process.kill(first.pid, 'SIGCONT');
  await eventually('the first stands by', async () => (await streaming(first.httpPort)) === 0);
  assert.equal(await streaming(second.httpPort), 1);
  await stage.sql.query(`update users set name = 'after' where id between 11 and 20`);
  await eventually('evicted', async () => (await left(11, 20)) === 0);
  assert.ok((await confirmedLsn()) >= confirmed);
  await first.stop();
  await second.stop();
});

test('a relay that is asked to end drains, confirms and gives the slot back', async () => {
  const relay = await stage.startRelay('relay-drained');
  await stage.sql.query(`update users set name = 'drained' where id <= 100`);
  const end = await walEnd();
  await eventually(
    'all of it is read',
    async () => BigInt((await metricOf(relay.httpPort, 'afterwrite_relay_received_lsn_bytes')) ?? 0) >= end,
  );
  await relay.stop();
  assert.ok((await confirmedLsn()) >= end, 'what was read was confirmed');
  const [row] = await stage.sql.query<{ active: boolean }>('select active from pg_replication_slots');
  assert.equal(row?.active, false);
});

/** Waits until what stands before `end` has been confirmed, which takes long for what is large. */
async function confirmedTo(end: bigint): Promise<void> {
  await eventually('confirmed', async () => (await confirmedLsn()) >= end, 240_000);
}

/** A heap of this size ends a process that holds on to what passes, which is larger. */
const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=64' };

function memoryMib(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024;
}

for (const [name, first, keysMax] of [
  ['a transaction of a million rows passes with the relay’s memory flat', 1_000_001, undefined],
  [
    'a transaction of a million rows that stay a million keys passes with the relay’s memory flat',
    2_000_001,
    2_000_000,
  ],
] as const) {
  test(name, { timeout: 280_000 }, async (t) => {
    const path = await stage.withUrls((text) =>
      keysMax === undefined ? text : `${text}limits:\n  keysPerTransactionMax: ${keysMax}\n`,
    );
    const relay = await stage.startRelay(`relay-bulk-${first}`, path, SMALL_HEAP);
    t.after(() => relay.stop());
    await confirmedTo(await walEnd());
    const before = memoryMib(relay.pid, 'VmRSS');
    const inserts = async (): Promise<number> =>
      (await metricOf(relay.httpPort, 'afterwrite_relay_changes_total{op="insert"}')) ?? 0;
    const insertsBefore = await inserts();
    // Of no organization, so that a row is one key.
    const rows = `select n, null, 'bulk' from generate_series(${first}, ${first + 999_999}) n`;
    await stage.sql.query(`insert into users ${rows}`);
    await confirmedTo(await walEnd());
    t.diagnostic(`relay memory: ${before.toFixed(0)} MiB before, peak ${memoryMib(relay.pid, 'VmHWM').toFixed(0)} MiB`);
    assert.equal((await inserts()) - insertsBefore, 1_000_000);
    const name = 'afterwrite_relay_invalidations_total{scope="key",family="user"}';
    const keys = (await metricOf(relay.httpPort, name)) ?? 0;
    assert.equal(keys >= 1_000_000, keysMax !== undefined, `${keys} keys`);
  });
}

test('a backlog of small transactions passes with the relay’s memory flat', { timeout: 280_000 }, async (t) => {
  const transactions = 100_000;
  await stage.sql.query(
    `do $$ begin for n in 1..${transactions} loop update users set name = n::text where id = 1 + n % 500; commit; end loop; end $$`,
  );
  const relay = await stage.startRelay('relay-backlog', stage.configPath, SMALL_HEAP);
  t.after(() => relay.stop());
  await confirmedTo(await walEnd());
  t.diagnostic(`relay memory: peak ${memoryMib(relay.pid, 'VmHWM').toFixed(0)} MiB after ${transactions} transactions`);
  assert.ok(((await metricOf(relay.httpPort, 'afterwrite_relay_transactions_total')) ?? 0) >= transactions);
});
