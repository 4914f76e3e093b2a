import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Cache } from '../../src/client/cache.ts';
import type { CacheFamily } from '../../src/client/cache-family.ts';
import type { FamilyOptions } from '../../src/client/open-family.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';
import { busOf, type StrategyBus } from '../support/strategy-bus.ts';

// Two services on one Redis, with families of the same names and the same keys: what is done to one is done to it alone.
const FAMILIES = ['user: { key: "user:{id}", ttl: 5m, local: 5m, on: { users: { id: id } }, tags: ["org:{org_id}"] }'];
const SERVICES = [
  { bus: 'shop', head: ['bus: shop'] },
  { bus: 'blog', head: ['bus: blog'] },
  // A prefix of its own, as where values stood in Redis before the bus came.
  { bus: 'wiki', head: ['bus: wiki', 'prefix: "app.wiki:v1:"'] },
];
const ID = { id: 'a1' };
interface User {
  readonly of: string;
  readonly org_id: string;
}
type Load = NonNullable<FamilyOptions<User, { id: string }>['load']>;
interface Service {
  readonly name: string;
  readonly region: CacheRegion;
  readonly bus: StrategyBus;
  readonly cache: Cache;
  readonly users: CacheFamily<User, { id: string }>;
}

let server: RedisServer;
let services: Service[];

before(async () => {
  server = await startRedis();
});
beforeEach(async () => {
  services = [];
  for (const { bus, head } of SERVICES) {
    const { text, config, rules } = busOf(head, FAMILIES);
    const region = await CacheRegion.open(server.url, bus, config.prefix);
    if (services.length === 0) await region.redis().flushall();
    // The label's type too.
    const withTag = Object.fromEntries(Object.entries(rules).map(([family, rule]) => [family, `${rule} text`]));
    await region.begin(withTag);
    const { cache, users } = await open(region, text, () => ({ of: bus, org_id: '7' }));
    services.push({ name: bus, region, bus: { text, config, rules: withTag }, cache, users });
  }
  for (const { users } of services) await users.get(ID);
});
afterEach(async () => {
  for (const { region } of services) await region.close();
});
after(() => server?.stop());

async function open(region: CacheRegion, text: string, load: Load): Promise<Pick<Service, 'cache' | 'users'>> {
  const cache = await region.cache({ config: { text } });
  return { cache, users: cache.family<User, { id: string }>('user', { reads: 'primary', load }) };
}
const held = (): Promise<(string | undefined)[]> =>
  Promise.all(services.map(async ({ users }) => (await users.peek(ID))?.of));
const [SHOP, BLOG, WIKI] = ['shop', 'blog', 'wiki'];

test('two services on one Redis do not collide: each has its own value under the same key of the same family', async () => {
  assert.deepEqual(await held(), [SHOP, BLOG, WIKI]);
  const [redis] = services.map(({ region }) => region.redis());
  const values = (await redis?.keys('*user:a1'))?.toSorted();
  assert.deepEqual(values, ['app.wiki:v1:user:a1', 'blog:user:a1', 'shop:user:a1']);
  assert.deepEqual(
    services.map(({ cache }) => cache.stats().fleet),
    [1, 1, 1],
    'the processes of one are no part of the fleet of another',
  );
});

const INVALIDATIONS: readonly [string, (service: Service) => Promise<unknown>][] = [
  ['an eviction by its bus', ({ region }) => region.evict(['user:a1'])],
  ['an eviction by its application', ({ users }) => users.evict(ID)],
  ['a tag that is invalidated', ({ region }) => region.markTag('org:7')],
  ['a family that is invalidated', ({ region }) => region.markFamily('user')],
  ['a new epoch', ({ region, bus }) => region.begin(bus.rules)],
];
for (const [what, invalidate] of INVALIDATIONS) {
  test(`${what} in one service leaves the values of the others on the same Redis`, async () => {
    for (const [i, service] of services.entries()) {
      const expected: (string | undefined)[] = await held();
      await invalidate(service);
      expected[i] = undefined;
      assert.deepEqual(await held(), expected);
    }
  });
}

test('a sweep after a new epoch of one service looks at no key of the others', async () => {
  const [shop] = services;
  assert.ok(shop !== undefined);
  await shop.region.begin(shop.bus.rules);
  assert.deepEqual(await shop.region.sweep('user', 'user:*'), ['user:a1']);
  const left = (await shop.region.redis().keys('*user:a1')).toSorted();
  assert.deepEqual(left, ['app.wiki:v1:user:a1', 'blog:user:a1']);
  assert.deepEqual(await held(), [undefined, BLOG, WIKI]);
});

test('a lease of one service keeps no reader of another from loading, and its end wakes nobody there', async () => {
  const [shop, blog] = services;
  assert.ok(shop !== undefined && blog !== undefined);
  const loader = new ScriptedLoader<User>();
  const another = await open(shop.region, shop.bus.text, loader.load);
  const waiting = another.users.get({ id: 'b2' });
  await loader.called(0);
  assert.equal((await blog.users.get({ id: 'b2' }))?.of, BLOG);
  assert.equal(blog.cache.stats().waits, 0);
  await loader.answer({ of: 'shop', org_id: '7' });
  assert.equal((await waiting)?.of, SHOP);
});

test('what one service changes is not forgotten in the memory of another’s process', async () => {
  const [shop, blog] = services;
  assert.ok(shop !== undefined && blog !== undefined);
  await eventually('it is in memory', async () => {
    await blog.users.get(ID);
    return blog.cache.stats().localHits > 0;
  });
  await shop.region.evict(['user:a1']);
  await eventually('the shop has loaded again', async () => {
    await shop.users.get(ID);
    return shop.cache.stats().loads === 2;
  });
  const { localHits, hits } = blog.cache.stats();
  await blog.users.get(ID);
  assert.deepEqual([blog.cache.stats().localHits, blog.cache.stats().hits], [localHits + 1, hits]);
});
