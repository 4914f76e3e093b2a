import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import pg from 'pg';
import type { Cache } from '../../src/client/cache.ts';
import type { Pool } from '../../src/client/pool.ts';
import { runInTransaction } from '../../src/client/write-transaction.ts';
import { type ErrorCode, isBusError } from '../../src/protocol/errors.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, LOCAL_FILE } from '../support/cache-region.ts';
import { aroundCommit, cut } from '../support/commit-pool.ts';
import { eventually } from '../support/eventually.ts';
import { stopProcess } from '../support/stop-process.ts';

// Writes on a real Postgres and a real Redis, without a bus: what is stale afterwards stays so.
interface Row {
  readonly id: string;
  readonly name: string;
}
const ID = { id: '1' };
const UPDATE = 'update rows set name = $2 where id = $1 returning id, name';
const SCHEMA = `
create table rows (id text primary key, name text not null);
create table twins (id text, constraint twins_once unique (id) deferrable initially deferred);
insert into twins values ('x');
`;
let postgres: PostgresServer;
let server: RedisServer;
let region: CacheRegion;
let primary: pg.Pool;

before(async () => {
  [postgres, server] = await Promise.all([startPostgres({ replica: true }), startRedis()]);
  primary = new pg.Pool({ connectionString: postgres.url });
  primary.on('error', () => undefined);
  await primary.query(SCHEMA);
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  await region.redis().flushall();
  await region.begin();
  await primary.query(`truncate rows`);
  await primary.query(`insert into rows values ('1', 'Ann'), ('2', 'Bea')`);
});
afterEach(async () => {
  server.process?.kill('SIGCONT');
  await region.closeCaches();
});
after(async () => {
  await region?.close();
  await primary?.end();
  await Promise.all([server?.stop(), postgres?.stop()]);
});

const open = async (pool: Pool = primary, more = {}) => {
  const cache = await region.cache({ postgres: { primary: pool }, ...more });
  return { cache, rows: cache.family<Row, { id: string }>('row') };
};
/** What another process is given, and whether it had to load it. */
const elsewhere = async (id = '1'): Promise<{ name: string | undefined; loads: number }> => {
  const { cache, rows } = await open();
  const value = await rows.get({ id });
  return { name: value?.name, loads: cache.stats().loads };
};
const rename =
  (name: string) =>
  async (tx: pg.PoolClient): Promise<Row | null> =>
    (await tx.query<Row>(UPDATE, ['1', name])).rows[0] ?? null;
const stored = async (): Promise<string | undefined> =>
  (await primary.query<Row>(`select name from rows where id = '1'`)).rows[0]?.name;
const coded = (code: ErrorCode, message = /./) => ({
  check: (error: unknown): boolean => isBusError(error, code) && message.test(error.message),
});
const refusals = (cache: Cache): unknown => cache.stats().refusals;

test('what a write returns is served from Redis after it, to every process, without a load', async () => {
  const { cache, rows } = await open();
  await rows.get(ID);
  const value = await rows.write(ID, rename('Cid'), { then: 'update' });
  assert.deepEqual(value, { id: '1', name: 'Cid' });
  assert.deepEqual(await rows.get(ID), value);
  assert.deepEqual(await elsewhere(), { name: 'Cid', loads: 0 });
  const { writes, writesStored, loads } = cache.stats();
  assert.deepEqual([writes, writesStored, loads], [1, 1, 1]);
});

test('by default the key is evicted after COMMIT; with leave nothing is done', async () => {
  const { rows } = await open();
  await rows.get(ID);
  const count = await rows.write(ID, async (tx: pg.PoolClient) => (await tx.query(UPDATE, ['1', 'Dan'])).rowCount);
  assert.equal(count, 1);
  assert.deepEqual(await elsewhere(), { name: 'Dan', loads: 1 });
  await rows.write(ID, rename('Eve'), { then: 'leave' });
  assert.deepEqual(await elsewhere(), { name: 'Dan', loads: 0 });
  assert.equal(await stored(), 'Eve');
});

test('what the work throws takes the write back and reaches the caller unchanged, and the old value goes on being served', async () => {
  const { rows } = await open();
  await rows.get(ID);
  const mine = new Error('mine');
  for (const then of ['evict', 'update', 'leave'] as const)
    await assert.rejects(
      rows.write(
        ID,
        async (tx: pg.PoolClient) => {
          await tx.query(UPDATE, ['1', 'lost']);
          throw mine;
        },
        { then: then as 'evict' },
      ),
      (error) => error === mine,
    );
  await assert.rejects(
    rows.write(ID, (tx: pg.PoolClient) => tx.query('select 1 / 0')),
    (error) => (error as { code?: string }).code === '22012' && !isBusError(error),
  );
  assert.deepEqual(await elsewhere(), { name: 'Ann', loads: 0 });
  assert.equal(await stored(), 'Ann');
  const { rows: open1 } = await primary.query(`select from pg_stat_activity where state like 'idle in transaction%'`);
  assert.equal(open1.length, 0, 'no transaction is left open');
});

test('a COMMIT that Postgres refuses ends the lease, and the error reaches the caller unchanged', async () => {
  const { rows } = await open();
  await rows.get(ID);
  const writing = rows.write(
    ID,
    async (tx: pg.PoolClient) => {
      await tx.query(`insert into twins values ('x')`);
      return rename('lost')(tx);
    },
    { then: 'update' },
  );
  await assert.rejects(writing, (error) => (error as { code?: string }).code === '23505' && !isBusError(error));
  assert.deepEqual(await elsewhere(), { name: 'Ann', loads: 0 });
  const slot = await region.redis().get('shop:row:1');
  await eventually('no lease', async () => (await region.redis().get('shop:row:1'))?.split(' ')[6] === '-');
  assert.ok(slot !== null);
});

test('a work that goes on after an error of its transaction, or ends it itself, is told', async () => {
  const { rows } = await open();
  await rows.get(ID);
  const swallowed = async (tx: pg.PoolClient): Promise<Row | null> => {
    const row = await rename('lost')(tx);
    await tx.query('select 1 / 0').catch(() => undefined);
    return row;
  };
  for (const then of ['evict', 'update'] as const)
    await assert.rejects(rows.write(ID, swallowed, { then: then as 'evict' }), coded('WRITE_ROLLED_BACK').check);
  assert.deepEqual(await elsewhere(), { name: 'Ann', loads: 0 });
  const itself = async (tx: pg.PoolClient): Promise<Row | null> => {
    const row = await rename('Fay')(tx);
    await tx.query('commit');
    return row;
  };
  await assert.rejects(rows.write(ID, itself, { then: 'update' }), coded('WRITE_OUTCOME_UNKNOWN', /itself/).check);
  assert.deepEqual(await elsewhere(), { name: 'Fay', loads: 1 });
});

for (const isCommitted of [true, false])
  test(`a COMMIT without an answer is told, and the key evicted, where it was ${isCommitted ? 'done' : 'never received'}`, async () => {
    const pool = aroundCommit(primary, async (commit, client) => {
      if (isCommitted) await commit();
      cut(client);
      return isCommitted ? Promise.reject(new Error('Connection terminated unexpectedly')) : commit();
    });
    const { rows } = await open(pool);
    for (const then of ['update', 'evict', 'leave'] as const) {
      await rows.get(ID);
      assert.equal((await elsewhere()).loads, 0);
      const name = `after ${then}`;
      await assert.rejects(
        rows.write(ID, rename(name), { then: then as 'evict' }),
        coded('WRITE_OUTCOME_UNKNOWN').check,
      );
      assert.deepEqual(await elsewhere(), { name: isCommitted ? name : 'Ann', loads: 1 });
    }
  });

test('a work may choose its isolation, and read what a transaction of it sees', async () => {
  const { rows } = await open();
  await rows.write(ID, async (tx) => {
    await tx.query('set transaction isolation level serializable');
    const { rows: found } = await tx.query<{ level: string }>(
      `select current_setting('transaction_isolation') as level`,
    );
    assert.equal(found[0]?.level, 'serializable');
  });
});

test('what is not the row that was written is not stored: the key is evicted, and what is wrong is told', async () => {
  const { cache, rows } = await open();
  const write = async (work: (tx: pg.PoolClient) => Promise<unknown>): Promise<void> => {
    await rows.get(ID);
    await rows.write(ID, work as (tx: pg.PoolClient) => Promise<Row | null>, { then: 'update' });
    assert.equal(cache.stats().writesStored, 0);
    assert.equal((await elsewhere()).loads, 1, 'evicted');
  };
  await write(async (tx) => {
    await tx.query('delete from rows where id = $1', ['1']);
    return null;
  });
  await primary.query(`insert into rows values ('1', 'Ann')`);
  await rows.evict(ID);
  await write(async (tx) => (await tx.query(UPDATE, ['1', 'Gil'])).rows);
  await write(async () => ({ id: '1', name: 'read, not written' }));
  await write(async (tx) => {
    await tx.query(UPDATE, ['1', 'Hal']);
    return undefined;
  });
  await rows.get({ id: '2' });
  await write(async (tx) => (await tx.query<Row>(UPDATE, ['2', 'Ida'])).rows[0]);
  assert.deepEqual(await elsewhere('2'), { name: 'Ida', loads: 1 }, 'the key that the row has is evicted too');
  assert.deepEqual(refusals(cache), { absence: 1, value: 4 });
  const told = region.events.filter(({ code }) => code === 'write-not-stored');
  assert.deepEqual(
    ['list', 'written nothing', 'undefined', 'another key'].map((what) =>
      told.some(({ message }) => message.includes(what)),
    ),
    [true, true, true, true],
  );
});

test('misuse is refused before anything is done', async () => {
  const { cache, rows } = await open();
  let works = 0;
  const work = async (): Promise<null> => {
    works += 1;
    return null;
  };
  const user = cache.family('user', { reads: 'primary', load: () => null });
  const bare = (await region.cache()).family('note', { load: () => null });
  const refused: [() => Promise<unknown>, ErrorCode, RegExp?][] = [
    [() => user.write(ID, work, { then: 'update' }), 'CACHE_WRITE_UNFIT', /public\.orgs/],
    [() => rows.write(ID, work, { then: 'later' as 'evict' }), 'CACHE_OPTION_INVALID'],
    [() => rows.write(ID, undefined as unknown as () => null), 'CACHE_OPTION_INVALID'],
    [() => rows.write({} as { id: string }, work), 'KEY_PARAMETER_INVALID'],
    [() => bare.write(ID, work), 'POSTGRES_POOL_INVALID'],
  ];
  for (const [writing, code, message] of refused) await assert.rejects(writing(), coded(code, message).check);
  const standby = new pg.Pool({ connectionString: postgres.replicaUrl ?? '' });
  const onStandby = runInTransaction(standby as unknown as Pool, { run: work, beforeCommit: async () => undefined });
  await assert.rejects(onStandby, coded('POSTGRES_POOL_MISDIRECTED', /standby/).check);
  await standby.end();
  await cache.drain();
  await assert.rejects(rows.write(ID, work), coded('CACHE_CLOSED').check);
  assert.equal(works, 0);
});

test('who misses while a write commits waits for it, and gets what it wrote without a load', async () => {
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const pool = aroundCommit(primary, async (commit) => {
    isHeld = true;
    await held.promise;
    return commit();
  });
  const writer = await open(pool);
  const writing = writer.rows.write(ID, rename('Jan'), { then: 'update' });
  await eventually('the lease', () => isHeld);
  const reader = await open();
  const reading = reader.rows.get(ID);
  await eventually('the wait', () => reader.cache.stats().waits === 1);
  held.resolve();
  await writing;
  assert.equal((await reading)?.name, 'Jan');
  assert.equal(reader.cache.stats().loads, 0);
});

for (const then of ['update', 'evict'] as const)
  test(`a reader that loaded the old row before COMMIT does not store it after (${then})`, async () => {
    const reader = await open();
    const locked = Promise.withResolvers<void>();
    const slow = reader.cache.family<Row, { id: string }>('note', {
      reads: 'primary',
      load: async () => {
        const { rows } = await primary.query<Row>('select id, name from rows');
        await locked.promise;
        return rows[0] ?? null;
      },
    });
    const notes = (await open()).cache.family<Row, { id: string }>('note', { load: () => null });
    const old = slow.get(ID);
    await eventually('the load', () => reader.cache.stats().loadsUnderWay === 1);
    await notes.write(ID, rename('Moa'), { then: then as 'update' });
    locked.resolve();
    assert.equal((await old)?.name, 'Ann');
    assert.equal((await notes.peek(ID))?.name, then === 'update' ? 'Moa' : undefined);
  });

test('a write takes the old value out of the process’s memory at once', async () => {
  const { cache } = await open(undefined, { config: { text: LOCAL_FILE } });
  let v = 'old';
  const near = cache.family<{ v: string }, { id: string }>('near-plain', { reads: 'primary', load: () => ({ v }) });
  for (const then of ['update', 'evict'] as const) {
    await eventually('a value in memory', async () => {
      await near.get(ID);
      return cache.stats().localHits > 0;
    });
    v = then;
    await near.write(
      ID,
      async (tx: pg.PoolClient) => {
        await tx.query(UPDATE, ['1', then]);
        return { v };
      },
      { then: then as 'update' },
    );
    assert.deepEqual(await near.get(ID), { v });
  }
});

test('a token of afterWrite lies above a write that has returned', async () => {
  const { cache, rows } = await open();
  await rows.write(ID, rename('Kim'));
  const token = await cache.afterWrite();
  assert.equal((await rows.get(ID, { token }))?.name, 'Kim');
});

// Redis goes in the middle. The request succeeds all the same, this process reads past Redis meanwhile, and nothing old is left when it comes back.
const freeze = (): Promise<void> => stopProcess(server.process?.pid);
const MOMENTS: readonly (readonly [when: string, duringWork: boolean])[] = [
  ['before the lease', true],
  ['between lease and store', false],
];
for (const [when, duringWork] of MOMENTS)
  for (const then of ['update', 'evict'] as const)
    test(`Redis frozen ${when}: the write (${then}) succeeds, and nothing stale is served then or afterwards`, async () => {
      const pool = aroundCommit(primary, async (commit) => {
        if (!duringWork) await freeze();
        return commit();
      });
      const { cache, rows } = await open(pool, { commandTimeoutMs: 100, breakerWaitMs: 20 });
      await rows.get(ID);
      const work = async (tx: pg.PoolClient): Promise<Row | null> => {
        if (duringWork) await freeze();
        return rename('Lea')(tx);
      };
      const value = await rows.write(ID, work, { then: then as 'update' });
      assert.deepEqual(value, { id: '1', name: 'Lea' });
      assert.equal(cache.stats().evictionsWaiting, 1);
      assert.equal((await rows.get(ID))?.name, 'Lea');
      server.process?.kill('SIGCONT');
      await eventually('the eviction is sent', async () => {
        assert.equal((await rows.get(ID))?.name, 'Lea');
        return cache.stats().evictionsWaiting === 0;
      });
      assert.equal((await elsewhere()).name, 'Lea');
    });

test('Redis killed between lease and store: the write succeeds, and the process reads past Redis from then on', async () => {
  const own = await startRedis();
  const lost = await CacheRegion.open(own.url);
  await lost.begin();
  try {
    const pool = aroundCommit(primary, async (commit) => {
      own.process?.kill('SIGKILL');
      return commit();
    });
    const cache = await lost.cache({ postgres: { primary: pool }, drainWaitMs: 10 });
    const rows = cache.family<Row, { id: string }>('row');
    await rows.get(ID);
    assert.equal((await rows.write(ID, rename('Nia'), { then: 'update' }))?.name, 'Nia');
    assert.equal(cache.stats().evictionsWaiting, 1);
    assert.equal((await rows.get(ID))?.name, 'Nia');
  } finally {
    await lost.close();
    await own.stop();
  }
});
