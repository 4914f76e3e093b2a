import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test, type TestContext } from 'node:test';
import type pg from 'pg';
import type { CacheFamily } from '../../src/client/cache-family.ts';
import type { Pool } from '../../src/client/pool.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { aroundCommit, cut } from '../support/commit-pool.ts';
import { blindStore, leaseAfterCommit, type Wraps } from '../support/race-cache.ts';
import { eventually } from '../support/eventually.ts';
import { RaceStage } from '../support/race-stage.ts';
import { seeded } from '../support/seeded.ts';

// Writers of one row in three processes' caches, with readers between them and the bus behind them, a row an interleaving. RUNS lengthens it, SEED draws another.
const RUNS = Number(process.env['RUNS'] ?? 1000);
const SEED = Number(process.env['SEED'] ?? 1);
const AT_ONCE = 25;
const below = seeded(SEED);
const pause = (): Promise<void> | undefined => (below(3) === 0 ? undefined : sleep(below(4)));

interface Row {
  readonly name: string;
}
type Users = CacheFamily<Row, { id: number }>;
let race: RaceStage;

before(async () => {
  race = await RaceStage.open();
});
after(() => race?.close());

/** In one of twenty the connection is cut as COMMIT is sent, or as it is answered. */
const commits = (pool: pg.Pool): Pool =>
  aroundCommit(pool, async (commit, client) => {
    await pause();
    if (below(20) > 0) {
      const committed = await commit();
      // The answer is under way.
      if (below(4) === 0) await pause();
      return committed;
    }
    if (below(2) === 0) await commit();
    const committing = commit();
    cut(client);
    return committing;
  });

/** The version that was written, or undefined where nobody knows, or nothing was. */
async function write(users: Users, id: number): Promise<number | undefined> {
  await pause();
  const isThrown = below(10) === 0;
  const work = async (tx: pg.PoolClient): Promise<Row | null> => {
    const { rows } = await tx.query<Row>('update users set name = (name::int + 1)::text where id = $1 returning name', [
      id,
    ]);
    await pause();
    if (isThrown) throw new Error('thrown by the work');
    return rows[0] ?? null;
  };
  try {
    const then = below(5) === 0 ? 'evict' : 'update';
    return versionOf(await users.write({ id }, work, { then: then as 'update' }));
  } catch (error) {
    if (isThrown || isBusError(error, 'WRITE_OUTCOME_UNKNOWN')) return undefined;
    throw error;
  }
}

const versionOf = (row: Row | null): number => Number(row?.name);

async function interleave(processes: readonly Users[], id: number): Promise<string | undefined> {
  const pick = (): Users => processes[below(processes.length)] as Users;
  let finished = 0;
  let fault: string | undefined;
  const written = Array.from({ length: 2 + below(2) }, async () => {
    const version = await write(pick(), id);
    finished = Math.max(finished, version ?? 0);
  });
  const read = Array.from({ length: 2 }, async () => {
    for (let n = 0; n < 4; n++) {
      await pause();
      const least = finished;
      const found = versionOf(await pick().get({ id }));
      if (found < least) fault ??= `a reader got ${found} after the write of ${least} had returned`;
    }
  });
  await Promise.all([...written, ...read]);
  return fault;
}

async function run(t: TestContext, runs: number, wraps: Wraps): Promise<string[]> {
  const opened = await Promise.all(Array.from({ length: 3 }, () => race.cache({ pool: commits, ...wraps })));
  const processes = opened.map(({ cache }) => cache.family<Row, { id: number }>('user'));
  const ids: number[] = [];
  // All are loaded once to begin with, and the queue of loads has a limit.
  while (ids.length < runs) ids.push(...(await race.rows(Math.min(100, runs - ids.length))));
  await race.primary.query(`update users set name = '0' where id = any($1)`, [ids]);
  await race.reached();
  const faults: string[] = [];
  const waiting = [...ids];
  const lane = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      const fault = await interleave(processes, id);
      if (fault !== undefined) faults.push(`${id}: ${fault}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await race.reached();
  const { rows } = await race.primary.query<{ id: string; name: string }>(
    'select id, name from users where id = any($1)',
    [ids],
  );
  for (const { id, name } of rows) {
    const [slot] = await race.slots('user', [Number(id)]);
    if (slot?.kind === 'value' && slot.payload !== JSON.stringify({ name }))
      faults.push(`${id}: ${slot.payload} is left, and ${name} was committed`);
  }
  const sum = (name: 'writes' | 'writesStored' | 'writesNotStored' | 'stored' | 'waits'): number =>
    opened.reduce((total, { cache }) => total + cache.stats()[name], 0);
  const refusals = opened.map(({ cache }) => JSON.stringify(cache.stats().refusals)).join(' ');
  t.diagnostic(
    `${sum('writes')} writes, ${sum('writesStored')} stored, ${sum('writesNotStored')} evicted instead; ${sum('stored')} loads stored; ${refusals}; ${faults.length} faults`,
  );
  await Promise.all(opened.map(({ close }) => close()));
  assert.ok(sum('writesStored') > 0);
  return faults;
}

test('overlapping writers on real servers leave nothing older than what was committed, nor does a reader get it', async (t) => {
  assert.deepEqual(await run(t, RUNS, {}), []);
});

test('were a store to compare nothing, older values would be got, and left', async (t) => {
  const faults = await run(t, Math.min(RUNS, 300), { store: blindStore });
  assert.ok(faults.length > 0);
  t.diagnostic(faults[0] ?? '');
});

const ROWS = 20;

/** Writers whose COMMIT is answered late: when another has written the same row, and the bus has evicted for both. */
async function lateAnswers(wraps: Wraps): Promise<number> {
  const ids = await race.rows(ROWS);
  const answers = Promise.withResolvers<void>();
  let committed = 0;
  const pool = (primary: pg.Pool): Pool =>
    aroundCommit(primary, async (commit) => {
      const answer = await commit();
      committed += 1;
      await answers.promise;
      return answer;
    });
  const { cache, close } = await race.cache({ pool, ...wraps });
  const text = `update users set name = 'older' where id = $1 returning name`;
  const writing = ids.map((id) =>
    cache
      .family<Row, { id: number }>('user')
      .write({ id }, async (tx: pg.PoolClient) => (await tx.query<Row>(text, [id])).rows[0] ?? null, {
        then: 'update',
      }),
  );
  await eventually('all are committed', () => committed === ROWS);
  await race.update('users', ids);
  await race.reached();
  answers.resolve();
  await Promise.all(writing);
  await close();
  const slots = await race.slots('user', ids);
  return slots.filter((slot) => slot.kind === 'value' && slot.payload === '{"name":"older"}').length;
}

test('a writer whose COMMIT is answered when the bus has evicted for a later one stores nothing', async () => {
  assert.equal(await lateAnswers({}), 0);
});

test('were the lease taken after COMMIT, the older values would be stored, and stay', async () => {
  assert.equal(await lateAnswers({ store: leaseAfterCommit }), ROWS);
});
