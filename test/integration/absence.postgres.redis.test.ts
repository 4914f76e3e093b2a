import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { RaceStage } from '../support/race-stage.ts';

// Through the whole bus: Postgres, relay, log and agent.
let race: RaceStage;

before(async () => {
  race = await RaceStage.open();
});
after(() => race?.close());

const NEW = 1_000_001;

test('a row that is inserted evicts the absence that was cached for its key', async () => {
  const { cache } = await race.cache();
  const users = cache.family<{ name: string }>('user');
  await eventually('the absence is stored', async () => {
    assert.equal(await users.get({ id: NEW }), null);
    return (await users.peek({ id: NEW })) === null;
  });
  const { loads } = cache.stats();
  assert.equal(await users.get({ id: NEW }), null);
  assert.equal(cache.stats().loads, loads, 'answered by the absence');
  await race.primary.query(`insert into users values ($1, 'new')`, [NEW]);
  await race.evicted('user', [NEW]);
  assert.deepEqual(await users.get({ id: NEW }), { name: 'new' });
});

test('a load that found nothing is not kept where the row was inserted during it', async () => {
  const id = NEW + 1;
  const loaded = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const { cache } = await race.cache({
    origin: (origin) => ({
      load: async (params, request) => {
        const found = await origin.load(params, request);
        loaded.resolve();
        await goOn.promise;
        return found;
      },
    }),
  });
  const users = cache.family<{ name: string }>('user');
  const reading = users.get({ id });
  await loaded.promise;
  await race.primary.query(`insert into users values ($1, 'new')`, [id]);
  // The lease goes with the eviction.
  await race.evicted('user', [id]);
  goOn.resolve();
  assert.equal(await reading, null, 'who began before the insert gets what he read');
  assert.equal(await users.peek({ id }), undefined, 'and nobody else does');
  assert.deepEqual(await users.get({ id }), { name: 'new' });
});
