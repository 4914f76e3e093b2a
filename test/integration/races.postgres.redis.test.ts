import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cache } from '../../src/client/cache.ts';
import { eventually } from '../support/eventually.ts';
import { alwaysSettled, type Wraps } from '../support/race-cache.ts';
import { NONE, RaceStage, type StaleCount } from '../support/race-stage.ts';

// What Postgres does to a reader: the key is evicted, and what is read behind the eviction is the old row all the same. Each race is run twice, the second
// time without the one safety that it is about: there the old value is stored and served, so the race is real.
const ROWS = 20;
let race: RaceStage;

before(async () => {
  race = await RaceStage.open({ replica: true });
});
after(() => race?.close());

async function commitBeforeVisible(wraps: Wraps): Promise<{ after: StaleCount; refused: number }> {
  const ids = await race.rows(ROWS);
  const { cache } = await race.cache(wraps);
  const users = cache.family<{ name: string }>('user');
  await Promise.all(ids.map((id) => users.get({ id })));
  assert.equal(cache.stats().stored, ROWS, 'in the cache, as long as nothing happens');
  await race.holdCommits(true);
  const update = race.update('users', ids);
  try {
    await race.evicted('user', ids);
    for (let round = 0; round < 3; round++)
      for (const value of await Promise.all(ids.map((id) => users.get({ id }))))
        assert.equal(value?.name, 'old', 'nobody can see the commit yet');
  } finally {
    await race.holdCommits(false);
    await update;
  }
  return { after: await race.stale('user', ids), refused: cache.stats().refusals['unsettled'] ?? 0 };
}

test('a commit that is decoded before it is visible: nothing is stored until a snapshot shows it', async () => {
  const { after: stale, refused } = await commitBeforeVisible({});
  assert.deepEqual(stale, NONE);
  assert.ok(refused >= ROWS, `${refused} loads were refused`);
});

test('were an eviction taken for settled as it is decoded, the old rows would be stored and served', async () => {
  const { after: stale } = await commitBeforeVisible({ store: alwaysSettled });
  assert.deepEqual(stale, { stored: ROWS, served: ROWS });
});

async function pausedReplica(
  wraps: Wraps,
  meanwhile: (cache: Cache, ids: readonly number[]) => Promise<unknown> = async () => undefined,
): Promise<{ after: StaleCount; refused: number }> {
  const { replica } = race;
  assert.ok(replica !== undefined);
  const ids = await race.rows(ROWS);
  const { cache } = await race.cache(wraps);
  const copies = cache.family<{ name: string }>('copy');
  await Promise.all(ids.map((id) => copies.get({ id })));
  assert.equal(cache.stats().stored, ROWS, 'in the cache, as long as nothing happens');
  await replica.query('select pg_wal_replay_pause()');
  try {
    await eventually('replay is paused', async () => {
      const { rows } = await replica.query('select pg_get_wal_replay_pause_state() as state');
      return (rows[0] as { state: string }).state === 'paused';
    });
    await race.update('users', ids);
    await race.evicted('copy', ids);
    // What settles on the primary says nothing of the replica: the old row may be stored at no time while replay is paused.
    await eventually('the update is settled on the primary', async () => {
      const users = cache.family('user');
      await Promise.all(ids.map((id) => users.get({ id })));
      return (await race.slots('user', ids)).filter(({ kind }) => kind === 'value').length === ROWS;
    });
    for (let round = 0; round < 3; round++)
      for (const value of await Promise.all(ids.map((id) => copies.get({ id }))))
        assert.equal(value?.name, 'old', 'the replica has nothing else');
    await meanwhile(cache, ids);
  } finally {
    await replica.query('select pg_wal_replay_resume()');
  }
  await eventually('the replica has the new rows', async () => {
    const found = await replica.query(`select from users where id = any($1) and name = 'new'`, [ids]);
    return found.rowCount === ROWS;
  });
  return { after: await race.stale('copy', ids), refused: cache.stats().refusals['replica behind'] ?? 0 };
}

test('a replica that has not replayed the change: nothing that was read there is stored', async () => {
  const { after: stale, refused } = await pausedReplica({}, async (cache, ids) => {
    const token = await cache.afterWrite();
    for (const id of ids) {
      const value = await cache.family<{ name: string }>('copy').get({ id }, { token });
      assert.equal(value?.name, 'new', 'a reader with a token reads the primary');
    }
  });
  assert.deepEqual(stale, NONE);
  assert.ok(refused >= ROWS, `${refused} loads were refused`);
});

test('were a read of the replica taken for one of the primary, the old rows would be stored and served', async () => {
  const { after: stale } = await pausedReplica({
    origin: (origin) => ({
      load: async (params, request) => {
        const { value, evidence } = await origin.load(params, request);
        if (evidence.kind !== 'replica') return { value, evidence };
        return { value, evidence: { kind: 'primary', timeline: evidence.timeline } };
      },
    }),
  });
  assert.deepEqual(stale, { stored: ROWS, served: ROWS });
});
