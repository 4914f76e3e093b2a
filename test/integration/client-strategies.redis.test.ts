import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';
import { strategyBus } from '../support/strategy-bus.ts';

const BUS = strategyBus(
  'soon: { key: "soon:{id}", ttl: 5m, early: 10, on: { notes: { id: id } } }',
  'packed: { key: "packed:{id}", ttl: 5m, codec: msgpack, compress: 500b, on: { notes: { id: id } } }',
  'soon-plain: { key: "soon-plain:{id}", ttl: 5m, early: 10, values: plain, on: { notes: { id: id } } }',
);
const ID = { id: 'a1' };
const OLD = { v: 1 };
const NEW = { v: 2 };

let server: RedisServer;
let region: CacheRegion;
let redis: Redis;
let loader: ScriptedLoader;

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  redis = region.redis();
  await redis.flushall();
  await region.begin(BUS.rules);
  loader = new ScriptedLoader();
});
afterEach(() => region.closeCaches());
after(async () => {
  await region?.close();
  await server?.stop();
});

/** A value that was so dear to load that nearly every reader draws its early refresh; one has. */
async function drawn(name: 'soon' | 'soon-plain') {
  const cache = await region.cache({ config: { text: BUS.text } });
  const family = cache.family<{ v: number }, { id: string }>(name, { reads: 'primary', load: loader.load });
  const first = family.get(ID);
  await loader.answer(OLD);
  await first;
  const [slot] = name === 'soon' ? ['shop:soon:a1'] : await redis.keys('*slot:soon-plain:a1');
  const header = (await redis.get(slot ?? '')) ?? '';
  assert.match(header, /^aw1 v \w+ \d+ \w+ d\d+,t\d+ - -\n/);
  await redis.set(slot ?? '', header.replace(/ d\d+,/, ' d600000,'), 'KEEPTTL');
  await eventually('a reader draws it', async () => {
    assert.deepEqual(await family.get(ID), OLD);
    return loader.calls.length === 2;
  });
  return { cache, family };
}

for (const name of ['soon', 'soon-plain'] as const) {
  test(`a value of family ${name} is served on while one reader refreshes it early, and is new then`, async () => {
    const { cache, family } = await drawn(name);
    const another = await region.cache({ config: { text: BUS.text } });
    const elsewhere = another.family<{ v: number }, { id: string }>(name, { reads: 'primary', load: loader.load });
    const readers = [family, elsewhere, family, elsewhere];
    assert.deepEqual(await Promise.all(readers.map((one) => one.get(ID))), [OLD, OLD, OLD, OLD]);
    await loader.answer(NEW, 1);
    await eventually('the new value', async () => (await elsewhere.peek(ID))?.v === 2);
    assert.deepEqual([loader.calls.length, cache.stats().earlyLoads], [2, 1]);
  });

  test(`an eviction by the bus that crosses an early refresh of family ${name} voids it`, async () => {
    const { cache, family } = await drawn(name);
    if (name === 'soon') await region.evict(['soon:a1']);
    else await region.evictPlain(['soon-plain:a1']);
    assert.equal(await family.peek(ID), undefined);
    await loader.answer(OLD, 1);
    await eventually('the store is refused', () => cache.stats().refusals.lease === 1);
    assert.equal(await family.peek(ID), undefined, 'nothing was brought back');
  });
}

test('binary values come back from Redis as they were, through tracking, a script that the server has forgotten, and a watermark', async () => {
  const cache = await region.cache({ config: { text: BUS.text } });
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const small = { bytes };
  const large = { text: 'größer '.repeat(500), bytes };
  const load = ({ id }: { id: string }): object => (id === 'small' ? small : large);
  const packed = cache.family<object, { id: string }>('packed', { reads: 'primary', load });
  for (const [id, value] of [
    ['small', small],
    ['large', large],
  ] as const) {
    await packed.get({ id });
    assert.deepEqual(await packed.peek({ id }), value);
    assert.deepEqual(await packed.get({ id }, { maxStalenessMs: 60_000 }), value);
    await redis.script('FLUSH');
    assert.deepEqual(await packed.get({ id }), value);
  }
  assert.equal(cache.stats().loads, 2);
  assert.ok((await redis.strlen('shop:packed:large')) < 600, 'compressed');
});
