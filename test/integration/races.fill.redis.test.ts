import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { blindStore, StoppedReaders, withoutFloor } from '../support/race-cache.ts';
import { NONE, RaceStage, type StaleCount } from '../support/race-stage.ts';

// What happens to a reader that is stopped between its load and its store. Each race is run twice, the second time with a store that compares nothing: there
// the old value is stored and served, so the race is real.
const ROWS = 20;
let race: RaceStage;

before(async () => {
  race = await RaceStage.open();
});
after(() => race?.close());

interface Crossing {
  readonly family: 'user' | 'quote';
  readonly happens: (ids: readonly number[]) => Promise<unknown>;
}

/** Readers load the old rows and stop; something happens; they go on. */
async function crossed({ family, happens }: Crossing, isBlind: boolean): Promise<StaleCount> {
  const ids = await race.rows(ROWS);
  const readers = new StoppedReaders();
  const { cache } = await race.cache({
    store: (store, redis, keyspace) => readers.wrap(isBlind ? blindStore(store, redis, keyspace) : store),
  });
  const reads = ids.map((id) => cache.family<{ name: string }>(family).get({ id }));
  await eventually('every reader has loaded', () => readers.stopped === ROWS);
  await happens(ids);
  readers.goOn();
  for (const value of await Promise.all(reads)) assert.equal(value?.name, 'old', 'returned to the caller all the same');
  assert.equal(cache.stats().stored, isBlind ? ROWS : 0);
  return race.stale(family, ids);
}

const valueKeys = (family: string, ids: readonly number[]): string[] =>
  ids.map((id) => race.keyspace.valueKey(`${family}:${id}`, 0));

/** The region has begun anew, with all that was committed until now behind it. */
async function beganAnew(): Promise<void> {
  await race.hasBegun();
  await race.reached();
}

const CROSSINGS: readonly (Crossing & { readonly what: string })[] = [
  {
    what: 'an eviction by the bus',
    family: 'user',
    happens: async (ids) => {
      await race.update('users', ids);
      await race.evicted('user', ids);
    },
  },
  {
    what: 'a DEL from outside',
    family: 'quote',
    happens: async (ids) => {
      await race.update('quotes', ids);
      assert.equal(await race.redis.del(...valueKeys('quote', ids)), ROWS, 'the leases');
    },
  },
  {
    what: 'FLUSHALL',
    family: 'user',
    happens: async (ids) => {
      await race.update('users', ids);
      await race.redis.flushall();
      await beganAnew();
    },
  },
];

for (const crossing of CROSSINGS) {
  test(`a reader that is stopped between load and store, and crossed by ${crossing.what}, stores nothing`, async () => {
    assert.deepEqual(await crossed(crossing, false), NONE);
  });
  test(`without the comparison it would store and serve what ${crossing.what} had made old`, async () => {
    assert.deepEqual(await crossed(crossing, true), { stored: ROWS, served: ROWS });
  });
}

/** The commit is in the log and evicted, but not visible; then Redis forgets all, and with it the fence. */
async function forgottenFence(hasFloor: boolean): Promise<StaleCount> {
  const ids = await race.rows(ROWS);
  await race.fill('user', ids);
  await race.holdCommits(true);
  const update = race.update('users', ids);
  try {
    await race.evicted('user', ids);
    // The new epoch begins with the log's last record, and fences what that holds: the commit has to be in one before it.
    await race.reached();
    await race.redis.flushall();
    await race.hasBegun();
    if (!hasFloor) await race.forgetMarks();
    const { cache } = await race.cache(hasFloor ? {} : { store: withoutFloor });
    const users = cache.family<{ name: string }>('user');
    for (let round = 0; round < 3; round++)
      for (const value of await Promise.all(ids.map((id) => users.get({ id })))) assert.equal(value?.name, 'old');
  } finally {
    await race.holdCommits(false);
    await update;
  }
  return race.stale('user', ids);
}

test('a FLUSHALL that forgets the fence of a commit nobody can see yet: the floor of the new epoch stands for it', async () => {
  assert.deepEqual(await forgottenFence(true), NONE);
});

test('without the floor the old rows would be stored and served', async () => {
  assert.deepEqual(await forgottenFence(false), { stored: ROWS, served: ROWS });
});
