import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { readTokenAfterWrite } from '../../src/client/after-write.ts';
import type { Pool } from '../../src/client/pool.ts';
import { checkPools } from '../../src/client/pool-check.ts';
import { type ErrorCode, isBusError } from '../../src/protocol/errors.ts';
import { lsnFromPostgres } from '../../src/protocol/lsn.ts';
import { lendClient } from '../../src/client/lent-client.ts';
import { openPool } from '../../src/drivers/postgres/pool.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';

const refused = (code: ErrorCode, message = /./) => ({
  check: (error: unknown): boolean => isBusError(error, code) && message.test(error.message),
});

describe('pools and tokens', { timeout: 120_000 }, () => {
  let server: PostgresServer;
  let primary: pg.Pool;
  let replica: pg.Pool;
  const pools: pg.Pool[] = [];
  const poolOf = (url: string | undefined, config: pg.PoolConfig = {}): pg.Pool => {
    const pool = new pg.Pool({ connectionString: url, ...config });
    // A test stops the server below it.
    pool.on('error', () => undefined);
    pools.push(pool);
    return pool;
  };
  before(async () => {
    server = await startPostgres({ replica: true });
    primary = poolOf(server.url);
    replica = poolOf(server.replicaUrl);
    await primary.query('create table t (id int)');
    const text = 'select from pg_stat_wal_receiver where received_tli = 1';
    await eventually('the receiver', async () => (await replica.query(text)).rowCount === 1);
  });
  after(async () => {
    // A pool waits for clients that a failed test has kept: the server's end frees them.
    const ended = pools.map((pool) => pool.end());
    await server.stop();
    await Promise.all(ended);
  });

  test('pools of a primary and its standby pass, and each alone', async () => {
    for (const passed of [{ primary, replica }, { primary }, { replica }, {}])
      assert.deepEqual(await checkPools(passed), []);
    assert.equal(primary.idleCount, primary.totalCount);
  });

  test('a primary that is a standby is refused, and a replica that is a primary', async () => {
    const { check } = refused('POSTGRES_POOL_MISDIRECTED', /primary leads to a standby/);
    await assert.rejects(checkPools({ primary: replica }), check);
    const other = refused('POSTGRES_POOL_MISDIRECTED', /replica leads to a primary/);
    await assert.rejects(checkPools({ primary, replica: primary }), other.check);
  });

  test('pools of two databases or of two systems are refused', async () => {
    await primary.query('create database other');
    const other = server.url.replace(/postgres$/, 'other');
    const { check } = refused('POSTGRES_POOL_MISDIRECTED', /"other".*"postgres"/);
    await assert.rejects(checkPools({ primary: poolOf(other), replica }), check);
    const stranger = await startPostgres();
    try {
      const foreign = refused('POSTGRES_POOL_MISDIRECTED', /system identifiers/);
      await assert.rejects(checkPools({ primary: poolOf(stranger.url), replica }), foreign.check);
    } finally {
      await stranger.stop();
    }
  });

  test('what is no pool is refused: a client, a client of a pool, anything', async () => {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const lent = await primary.connect();
    await lent.query('begin');
    try {
      for (const one of [client, lent, {}, null, { connect: async () => ({}) }])
        await assert.rejects(
          checkPools({ primary: one as unknown as Pool }),
          refused('POSTGRES_POOL_INVALID', /pool/).check,
        );
    } finally {
      lent.release(true);
      await client.end();
    }
  });

  test('a replica that hides its timeline is a warning, as is a server that cannot be asked now', async () => {
    await primary.query('create user reader');
    const url = new URL(server.replicaUrl ?? '');
    url.username = 'reader';
    const pool = poolOf(url.href);
    await eventually('the user on the replica', () => pool.query('select 1').catch(() => undefined));
    const [hidden, ...more] = await checkPools({ primary, replica: pool });
    assert.ok(isBusError(hidden, 'REPLICA_UNFIT') && hidden.message.includes('pg_read_all_stats'));
    assert.equal(more.length, 0);
    const [away] = await checkPools({ primary: poolOf('postgres://postgres@127.0.0.1:1/postgres') });
    assert.ok(isBusError(away, 'POSTGRES_UNREACHABLE'));
  });

  test('Aurora is refused as a replica', async () => {
    await primary.query(`create function aurora_version() returns text language sql as $$ select '16.1' $$`);
    const text = `select from pg_proc where proname = 'aurora_version'`;
    await eventually('the replay', async () => (await replica.query(text)).rowCount === 1);
    await assert.rejects(checkPools({ primary, replica }), refused('REPLICA_UNFIT', /Aurora/).check);
    assert.deepEqual(await checkPools({ primary }), []);
    await primary.query('drop function aurora_version()');
  });

  test('a token lies above the commit before it, from the write’s own client and from a pool', async () => {
    // Method: the slot's reading gives each transaction's commit LSN; a token must be above it.
    await primary.query(`select pg_create_logical_replication_slot('tokens', 'test_decoding')`);
    const client = await primary.connect();
    for (const [how, settings] of [
      ['client', 'on'],
      ['pool', 'on'],
      ['client', 'off'],
      ['option', 'off'],
    ] as const) {
      await client.query('begin');
      await client.query(`set local synchronous_commit = ${settings === 'off' && how === 'option' ? 'off' : 'on'}`);
      await client.query('insert into t values (1)');
      await client.query('commit');
      if (how === 'client') await client.query(`set synchronous_commit = ${settings}`);
      if (how === 'client' && settings === 'off') await client.query('insert into t values (2)');
      const token = await (how === 'client'
        ? readTokenAfterWrite(client)
        : readTokenAfterWrite(primary, { asynchronousCommit: how === 'option' }));
      await client.query('set synchronous_commit = on');
      await client.query('insert into t values (3)');
      const { rows } = await client.query<{ lsn: string; data: string }>(
        `select lsn::text, data from pg_logical_slot_get_changes('tokens', null, null) where data like 'COMMIT%'`,
      );
      const written = rows.slice(0, -1).map(({ lsn }) => lsnFromPostgres(lsn));
      assert.ok(written.length > 0, how);
      for (const lsn of written) assert.ok(token.lsn >= lsn, `${how}, ${settings}`);
      assert.equal(token.timeline, 1);
    }
    client.release();
    await primary.query(`select pg_drop_replication_slot('tokens')`);
  });

  test('a write that the disk has not seen yet lies below the token', async () => {
    // Method: WAL of an asynchronous commit is not flushed while the WAL writer sleeps, which is made long; the flushed LSN is then below the write.
    await primary.query('alter system set wal_writer_delay = 10000');
    await primary.query('select pg_reload_conf()');
    const client = await primary.connect();
    await client.query('set synchronous_commit = off');
    let wasAhead = false;
    for (let i = 0; i < 20 && !wasAhead; i += 1) {
      await client.query('insert into t values (4)');
      const { rows } = await client.query<{ flushed: string; inserted: string }>(
        'select pg_current_wal_flush_lsn()::text as flushed, pg_current_wal_insert_lsn()::text as inserted',
      );
      const token = await readTokenAfterWrite(client);
      const [{ flushed, inserted } = { flushed: '0/0', inserted: '0/0' }] = rows;
      assert.ok(token.lsn >= lsnFromPostgres(inserted));
      wasAhead = token.lsn > lsnFromPostgres(flushed);
    }
    assert.ok(wasAhead, 'the flushed LSN was seen below a commit');
    await client.query('reset synchronous_commit');
    client.release();
  });

  test('before COMMIT there is no token: after a write, before one, at once after BEGIN, and in a failed transaction', async () => {
    const client = await primary.connect();
    const { check } = refused('POSTGRES_IN_TRANSACTION');
    for (const statements of [
      ['begin'],
      ['begin', 'insert into t values (1)'],
      ['begin', 'select 1'],
      ['begin read only'],
      ['begin isolation level serializable', 'savepoint s'],
    ]) {
      for (const statement of statements) await client.query(statement);
      await assert.rejects(readTokenAfterWrite(client), check, statements.join('; '));
      await client.query('rollback');
    }
    await client.query('begin');
    await assert.rejects(client.query('select 1 / 0'));
    await assert.rejects(readTokenAfterWrite(client), check);
    await client.query('rollback');
    for (let i = 0; i < 200; i += 1) {
      await client.query('begin');
      await assert.rejects(readTokenAfterWrite(client), check);
      await client.query('commit');
      await readTokenAfterWrite(client);
    }
    client.release();
  });

  test('a standby gives no token', async () => {
    await assert.rejects(readTokenAfterWrite(replica), refused('POSTGRES_POOL_MISDIRECTED').check);
  });

  test('what a load that was given up has asked of the database ends there too', async () => {
    // Without a limit the server goes on for as long as the query takes, or another’s lock stands: it looks for its client when it has something to say.
    const pool = openPool(server.url, { applicationName: 'loads', max: 1, statementTimeoutMs: 500 });
    const given = new AbortController();
    const asked = async (): Promise<number> =>
      (await primary.query(`select from pg_stat_activity where application_name = 'loads' and state = 'active'`))
        .rowCount ?? 0;
    try {
      const load = lendClient(pool, given.signal, (client) => client.query({ text: 'select pg_sleep(60)' } as never));
      await eventually('the query runs', async () => (await asked()) === 1);
      given.abort(new Error('given up'));
      await assert.rejects(load, /given up/);
      await eventually('the query has ended', async () => (await asked()) === 0);
    } finally {
      await pool.end();
    }
  });
});
