import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type RunningService, serve } from '../../examples/per-endpoint/service.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, CELLS } from '../support/cache-region.ts';
import { expectConfig } from '../support/config-text.ts';
import { eventually } from '../support/eventually.ts';

const example = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../examples/${file}`, import.meta.url)), 'utf8');

let postgres: PostgresServer;
let redis: RedisServer;
let region: CacheRegion;
let primary: pg.Pool;
let service: RunningService;

before(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  primary = new pg.Pool({ connectionString: postgres.url });
  await primary.query(example('per-endpoint/schema.sql'));
  // As many cells as the region of the tests has.
  const bus = example('afterwrite.yaml').replace('partitions: 4', `partitions: ${CELLS}`);
  const files = [bus, example('per-endpoint/families.yaml')].map((text, i) => ({ name: `${i}.yaml`, text }));
  const env = { PG_URL: postgres.url, REDIS_EU: redis.url, REDIS_LOG: redis.url };
  const config = expectConfig(parseConfig(files, env));
  region = await CacheRegion.open(redis.url);
  await region.begin(
    Object.fromEntries([...config.families.values()].map((one) => [one.name, `${one.ruleHash} integer`])),
  );
  service = await serve(await region.cache({ config: { loaded: config }, env, postgres: { primary } }));
});
after(async () => {
  await service?.close();
  await region?.close();
  await primary?.end();
  await Promise.all([redis?.stop(), postgres?.stop()]);
});

async function get(url: string, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(url, { headers });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

test('each endpoint of the example answers by its own strategy, on Fastify as on Express', async () => {
  await region.apply();
  for (const url of [service.fastifyUrl, service.expressUrl]) {
    const product = await get(`${url}/products/1`);
    assert.deepEqual(product.body, { id: '1', name: 'Teapot', price_cents: 1900 });
    assert.match(product.headers.get('cache-control') ?? '', /^public, max-age=\d+, stale-while-revalidate=3600$/);

    const stock = await get(`${url}/products/1/stock`);
    assert.deepEqual(
      [stock.body, stock.headers.get('cache-control')],
      [{ product_id: '1', pieces: 12 }, 'public, no-cache'],
    );

    const orders = await get(`${url}/orders`, { 'x-customer': '7' });
    assert.equal((orders.body as { orders: unknown[] }).orders.length, 2);
    assert.match(orders.headers.get('cache-control') ?? '', /^private, max-age=/);
    assert.equal(orders.headers.get('vary'), 'X-Customer');

    const statuses = [`${url}/products/9`, `${url}/products/x`, `${url}/orders`].map(
      async (bad) => (await get(bad)).status,
    );
    assert.deepEqual(await Promise.all(statuses), [404, 400, 400]);
  }
});

test('both serve a product of the example under one tag, until a change of its row makes it another', async () => {
  const urls = [service.fastifyUrl, service.expressUrl];
  const tags = async () =>
    new Set(await Promise.all(urls.map(async (url) => (await get(`${url}/products/2`)).headers.get('etag'))));
  const before = await tags();
  assert.equal(before.size, 1);
  await primary.query('update products set price_cents = 750 where id = 2');
  await region.evict(['product:2']);
  await eventually('another tag', async () => {
    const now = await tags();
    return now.size === 1 && !now.has([...before][0] ?? null);
  });
});
