import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Redis } from 'ioredis';
import type { Cache } from '../../src/index.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, CELLS } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';
import { strategyBus } from '../support/strategy-bus.ts';
import { FRAMEWORKS, type Routes, WebServer } from '../support/web-server.ts';

/** One service, a strategy an endpoint. */
const BUS = strategyBus(
  'note: { key: "note:{id}", ttl: 5m, jitter: 0, absent: 1m, on: { notes: { id: id } } }',
  'slow: { key: "slow:{id}", ttl: 1m, jitter: 0, stale: 10m, on: { notes: { id: id } } }',
  'near: { key: "near:{id}", ttl: 5m, jitter: 0, local: 4m, on: { notes: { id: id } } }',
  'packed: { key: "packed:{id}", ttl: 5m, codec: msgpack, compress: 100b, on: { notes: { id: id } } }',
  'lenient: { key: "lenient:{id}", ttl: 5m, too-stale: serve, on: { notes: { id: id } } }',
);
interface Note {
  readonly id: string;
  readonly text: string;
}
type Params = { id: string };
type Load = (params: Params) => Promise<Note | null>;

let server: RedisServer;
let region: CacheRegion;
let redis: Redis;
let cache: Cache;
let web: WebServer | undefined;
/** The database. */
let rows: Map<string, string>;
let failure: unknown;
let holds: Promise<void> | undefined;
let loads: number;

const load: Load = async ({ id }) => {
  loads += 1;
  await holds;
  if (failure !== undefined) throw failure;
  const text = rows.get(id);
  return text === undefined ? null : { id, text };
};

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  redis = region.redis();
  await redis.flushall();
  await region.begin(BUS.rules);
  rows = new Map([['a1', 'Grüße – “ü” 🙂']]);
  failure = undefined;
  holds = undefined;
  loads = 0;
});
afterEach(async () => {
  await web?.close();
  web = undefined;
  await region.closeCaches();
});
after(async () => {
  await region?.close();
  await server?.stop();
});

async function open(framework: (typeof FRAMEWORKS)[number], limits = {}): Promise<WebServer> {
  cache = await region.cache({ config: { text: BUS.text }, ...limits });
  web = await WebServer.open(framework, routesOf(cache));
  return web;
}

function routesOf(of: Cache): Routes {
  for (const name of ['note', 'slow', 'near', 'packed', 'lenient'])
    of.family<Note, Params>(name, { reads: 'primary', load });
  const params = (request: { params: Readonly<Record<string, string>> }) => ({ id: request.params['id'] ?? '' });
  const fresh = '30s';
  return {
    '/notes/:id': of.route({ family: 'note', params, fresh }),
    '/slow/:id': of.route({ family: 'slow', params, fresh }),
    '/near/:id': of.route({ family: of.family<Note, Params>('near'), params, fresh }),
    '/packed/:id': of.route({ family: 'packed', params, fresh }),
    '/strict/:id': of.route({ family: 'note', params, fresh, maxStaleness: 5 }),
    '/lenient/:id': of.route({ family: 'lenient', params, fresh, maxStaleness: 5 }),
    '/mine': of.route({
      family: 'note',
      params: ({ headers }) => ({ id: String(headers['x-note']) }),
      fresh,
      private: true,
      vary: ['X-Note'],
    }),
    '/deaf/:id': of.route({ family: 'note', params, fresh, followsRequest: false }),
    '/page/:id': of.route({
      family: of.family<Note, Params>('note'),
      params,
      fresh,
      render: ({ text }) => `<p>${text}</p>`,
      type: 'text/html; charset=utf-8',
    }),
    '/odd/:id': of.route({
      family: 'note',
      params: ({ params: { id } }) => {
        if (id === 'none') return undefined;
        if (id === 'throws') throw new RangeError('not so');
        return (id === 'empty' ? {} : { id: ['no', 'key'] }) as unknown as Params;
      },
      fresh,
    }),
  };
}

/** As if so much time had passed since the region last heard of the database. */
async function fallBehind(ms: number): Promise<void> {
  for (let cell = 0; cell < CELLS; cell++) await redis.hset(region.keyspace.record(cell), 'asOf', Date.now() - ms);
}

/** As if a value had been stored so much earlier, with so much less of its time left. */
async function aged(key: string, seconds: number): Promise<void> {
  const slot = (await redis.get(key)) ?? '';
  const left = await redis.pttl(key);
  await redis.set(
    key,
    slot.replace(/t(\d+)/, (_, at) => `t${Number(at) - seconds}`),
    'PX',
    left - seconds * 1000,
  );
}

for (const framework of FRAMEWORKS) {
  test(`${framework}: a value is loaded once and served as JSON, with its tag, its age, and for how long it may be kept`, async () => {
    const { get } = bound(await open(framework));
    const first = await get('/notes/a1');
    assert.deepEqual([first.status, first.text], [200, JSON.stringify({ id: 'a1', text: rows.get('a1') })]);
    assert.match(first.headers['content-type'] ?? '', /^application\/json; ?charset=utf-8$/i);
    assert.equal(first.headers['content-length'], String(Buffer.byteLength(first.text)));
    assert.deepEqual([freshS(first), first.headers['cache-control']?.startsWith('public, max-age=3')], [30, true]);
    await aged('shop:note:a1', 100);
    assert.match(String(first.headers['age']), /^\d$/);
    const later = await get('/notes/a1');
    assert.ok(Number(later.headers['age']) >= 100 && Number(later.headers['age']) < 200);
    assert.deepEqual([freshS(later), later.headers.etag, later.text], [30, first.headers.etag, first.text]);
    await aged('shop:note:a1', 180);
    assert.ok(freshS(await get('/notes/a1')) <= 20, 'no longer than what is left of five minutes');
    await redis.pexpire('shop:note:a1', 5000);
    assert.ok(freshS(await get('/notes/a1')) <= 5, 'whatever was said as it was stored');
    assert.equal(loads, 1);
  });

  test(`${framework}: what the client has is a 304, and an eviction by the bus changes the tag`, async () => {
    const { get } = bound(await open(framework));
    const first = await get('/notes/a1');
    const tag = first.headers.etag ?? '';
    assert.match(tag, /^"[\w-]{22}"$/);
    for (const condition of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
      const known = await get('/notes/a1', { 'if-none-match': condition });
      assert.deepEqual([known.status, known.text, known.headers.etag], [304, '', tag]);
      assert.equal(freshS(known), 30);
      assert.ok(known.headers['content-type'] === undefined && known.headers['content-length'] === undefined);
    }
    assert.equal((await get('/notes/a1', { 'if-none-match': '"x"' })).status, 200);
    assert.equal((await get('/notes/a1', { 'if-match': '"x"' })).status, 412);
    rows.set('a1', 'new');
    assert.equal((await get('/notes/a1', { 'if-none-match': tag })).status, 304, 'until the bus says so');
    await region.evict(['note:a1']);
    const changed = await get('/notes/a1', { 'if-none-match': tag });
    assert.deepEqual([changed.status, changed.text], [200, '{"id":"a1","text":"new"}']);
    assert.notEqual(changed.headers.etag, tag);
    rows.set('a1', 'Grüße – “ü” 🙂');
    await region.evict(['note:a1']);
    assert.equal((await get('/notes/a1')).headers.etag, tag, 'the same value has the same tag');
  });

  test(`${framework}: HEAD has the headers of GET, and no body; any other method is a 405`, async () => {
    const { get } = bound(await open(framework));
    const whole = await get('/notes/a1');
    const head = await get('/notes/a1', {}, 'HEAD');
    assert.deepEqual([head.status, head.text], [200, '']);
    for (const name of ['etag', 'content-type', 'content-length', 'vary'])
      assert.equal(head.headers[name], whole.headers[name], name);
    assert.equal(freshS(head), 30);
    const known = await get('/notes/a1', { 'if-none-match': '*' }, 'HEAD');
    assert.deepEqual([known.status, known.headers.etag], [304, whole.headers.etag]);
    assert.equal((await get('/notes/zz', {}, 'HEAD')).status, 404);
    const posted = await get('/notes/a1', {}, 'POST');
    assert.deepEqual(
      [posted.status, posted.headers.allow, posted.headers['cache-control']],
      [405, 'GET, HEAD', 'no-store'],
    );
    assert.equal(loads, 2);
  });

  test(`${framework}: what does not exist is a 404 that is cached for a shorter time, until the bus evicts it`, async () => {
    const { get } = bound(await open(framework));
    const none = await get('/notes/b2', { 'if-none-match': '*' });
    assert.deepEqual([none.status, none.headers.etag, freshS(none)], [404, undefined, 3]);
    assert.match(none.headers['content-type'] ?? '', /^application\/problem\+json/);
    assert.equal((await get('/notes/b2')).status, 404);
    assert.equal(loads, 1);
    await aged('shop:note:b2', 58);
    assert.ok(freshS(await get('/notes/b2')) < 3, 'no longer than what is left of a minute');
    rows.set('b2', 'there');
    await region.evict(['note:b2']);
    assert.equal((await get('/notes/b2')).status, 200);
  });

  test(`${framework}: parameters that are none are a 400 with their code, and what params throws is the framework’s`, async () => {
    const { get, errors } = bound(await open(framework));
    for (const id of ['none', 'empty', 'list']) {
      const bad = await get(`/odd/${id}`);
      assert.deepEqual([bad.status, bad.headers['cache-control']], [400, 'no-store'], id);
      assert.match(bad.headers['content-type'] ?? '', /^application\/problem\+json/);
      assert.equal((JSON.parse(bad.text) as { code: string }).code, 'KEY_PARAMETER_INVALID');
    }
    const long = await get(`/notes/${'x'.repeat(1100)}`);
    // Fastify refuses so long a parameter itself, by default.
    if (framework === 'express')
      assert.deepEqual([long.status, (JSON.parse(long.text) as { code: string }).code], [400, 'CACHE_KEY_TOO_LONG']);
    assert.deepEqual([loads, errors.length], [0, 0]);
    assert.equal((await get('/odd/throws')).text, 'RangeError: not so');
    assert.ok(errors[0] instanceof RangeError);
  });

  test(`${framework}: a loader’s own error reaches the framework’s error handler as it is`, async () => {
    const { get, errors } = bound(await open(framework));
    failure = Object.assign(new Error('the database says no'), { statusCode: 418 });
    const failed = await get('/notes/a1');
    assert.deepEqual([failed.status, failed.text], [500, 'Error: the database says no']);
    assert.ok(errors.length === 1 && errors[0] === failure);
    assert.ok(!failed.headers['cache-control']?.includes('max-age'));
  });

  test(`${framework}: where there is no place for a load, 503 says when to come again, and not where`, async () => {
    const { get, errors } = bound(await open(framework, { loadsMax: 1, loadQueueMax: 0 }));
    const held = Promise.withResolvers<void>();
    holds = held.promise;
    const first = get('/notes/a1');
    await eventually('the load', () => loads === 1);
    const refused = await get('/notes/b2');
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
    assert.deepEqual([refused.headers['cache-control'], refused.headers.etag], ['no-store', undefined]);
    const problem = JSON.parse(refused.text) as { code: string; status: number };
    assert.deepEqual([problem.code, problem.status, errors.length], ['CACHE_OVERLOADED', 503, 0]);
    held.resolve();
    assert.equal((await first).status, 200);
  });

  test(`${framework}: of a region that is further behind than the route allows nothing is served: it is loaded, or a 503`, async () => {
    const { get, errors } = bound(await open(framework));
    assert.equal((await get('/strict/a1')).status, 200);
    assert.equal((await get('/strict/a1')).status, 200);
    assert.equal((await get('/lenient/a1')).status, 200);
    assert.equal(loads, 2);
    await fallBehind(60_000);
    rows.set('a1', 'new');
    assert.match((await get('/notes/a1')).text, /Grüße/, 'another route of the family');
    assert.match((await get('/strict/a1')).text, /new/);
    failure = new Error('the database is away');
    const refused = await get('/strict/a1');
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
    assert.equal((JSON.parse(refused.text) as { code: string }).code, 'CACHE_TOO_STALE');
    const served = await get('/lenient/a1');
    assert.deepEqual([served.status, served.text.includes('Grüße')], [200, true], 'too-stale: serve');
    assert.deepEqual(errors, []);
  });

  test(`${framework}: a request may ask for what is no older, or only for what is held, unless the route is deaf`, async () => {
    const { get } = bound(await open(framework));
    const nothing = await get('/notes/a1', { 'cache-control': 'only-if-cached' });
    assert.deepEqual([nothing.status, nothing.headers['cache-control'], loads], [504, 'no-store', 0]);
    const first = await get('/notes/a1');
    const held = await get('/notes/a1', { 'cache-control': 'only-if-cached' });
    assert.deepEqual(
      [held.status, held.text, held.headers.etag, freshS(held)],
      [200, first.text, first.headers.etag, 30],
    );
    await fallBehind(60_000);
    assert.equal((await get('/notes/a1', { 'cache-control': 'max-age=3600' })).status, 200);
    assert.equal((await get('/notes/a1', { 'cache-control': 'max-age=5, max-stale' })).status, 200);
    assert.equal((await get('/deaf/a1', { 'cache-control': 'no-cache' })).status, 200);
    assert.equal(loads, 1);
    const behind = await get('/notes/a1', { 'cache-control': 'max-age=5, only-if-cached' });
    assert.deepEqual([behind.status, loads], [504, 1]);
    for (const headers of [{ 'cache-control': 'no-cache' }, { 'cache-control': 'max-age=5' }, { pragma: 'no-cache' }])
      assert.equal((await get('/notes/a1', headers)).status, 200);
    assert.equal(loads, 4);
  });

  test(`${framework}: a value past its time is served stale, and whoever keeps it is told for how long he may`, async () => {
    const { get } = bound(await open(framework));
    const first = await get('/slow/a1');
    assert.deepEqual([freshS(first), staleS(first)], [30, 600]);
    await aged('shop:slow:a1', 160);
    const stale = await get('/slow/a1');
    assert.deepEqual([stale.status, freshS(stale), stale.headers.etag], [200, 0, first.headers.etag]);
    assert.ok(staleS(stale) <= 500 && staleS(stale) > 300);
    await eventually('the reload', async () => Number((await get('/slow/a1')).headers['age']) < 100);
    assert.equal(loads, 2);
  });

  test(`${framework}: a value from the memory of the process has the tag, the text and the age that it has from Redis`, async () => {
    const { get } = bound(await open(framework));
    const loaded = await get('/near/a1');
    await aged('shop:near:a1', 100);
    await eventually('memory', async () => {
      await get('/near/a1');
      return cache.stats().localHits > 1;
    });
    const local = await get('/near/a1');
    assert.deepEqual([local.text, local.headers.etag, freshS(local)], [loaded.text, loaded.headers.etag, 30]);
    assert.ok(Number(local.headers['age']) >= 100);
    rows.set('a1', 'new');
    await region.evict(['near:a1']);
    await eventually('the new value', async () => (await get('/near/a1')).text.includes('new'));
    assert.notEqual((await get('/near/a1')).headers.etag, loaded.headers.etag);
  });

  test(`${framework}: each process, and each codec that stores a value, gives the value the same tag`, async () => {
    const { get } = bound(await open(framework));
    rows.set('a1', 'long '.repeat(100));
    const tags = [await get('/notes/a1'), await get('/packed/a1'), await get('/packed/a1')].map(
      ({ headers }) => headers.etag,
    );
    const another = await region.cache({ config: { text: BUS.text } });
    const elsewhere = await WebServer.open(framework === 'fastify' ? 'express' : 'fastify', routesOf(another));
    try {
      for (const path of ['/notes/a1', '/packed/a1', '/near/a1']) tags.push((await elsewhere.get(path)).headers.etag);
    } finally {
      await elsewhere.close();
    }
    assert.deepEqual(new Set(tags).size, 1);
    assert.equal(loads, 3);
  });

  test(`${framework}: what is rendered is served as it is rendered, with a tag of its own`, async () => {
    const { get } = bound(await open(framework));
    const json = await get('/notes/a1');
    const page = await get('/page/a1');
    assert.deepEqual([page.text, page.headers['content-type']], ['<p>Grüße – “ü” 🙂</p>', 'text/html; charset=utf-8']);
    assert.notEqual(page.headers.etag, json.headers.etag);
    assert.equal((await get('/page/a1', { 'if-none-match': page.headers.etag ?? '' })).status, 304);
    assert.equal((await get('/page/zz')).status, 404);
  });

  test(`${framework}: a private answer is the client’s alone, and varies by what was looked at, beside what others vary by`, async () => {
    const { get } = bound(await open(framework));
    const mine = await get('/mine', { 'x-note': 'a1' });
    assert.match(mine.headers['cache-control'] ?? '', /^private, max-age=/);
    assert.equal(mine.headers.vary, 'Origin, X-Note');
    assert.equal((await get('/mine', { 'x-note': 'a1', 'if-none-match': '*' })).headers.vary, 'Origin, X-Note');
    assert.equal((await get('/notes/a1')).headers.vary, 'Origin');
  });

  test(`${framework}: with Redis away values are loaded and served all the same`, async () => {
    const { get } = bound(await open(framework));
    const first = await get('/notes/a1');
    // No command of ours is allowed any more.
    await redis.acl('SETUSER', 'default', '-evalsha', '-eval', '-fcall', '-fcall_ro', '-evalsha_ro', '-eval_ro');
    try {
      const again = await get('/notes/a1');
      assert.deepEqual([again.status, again.headers.etag, freshS(again)], [200, first.headers.etag, 30]);
      assert.equal(loads, 2);
    } finally {
      await redis.acl('SETUSER', 'default', '+@all');
    }
  });

  test(`${framework}: once the cache is drained a 503 sends the client to another process`, async () => {
    const { get } = bound(await open(framework));
    await cache.drain();
    const closed = await get('/notes/a1');
    assert.deepEqual([closed.status, closed.headers['retry-after']], [503, '1']);
    assert.equal((await get('/notes/a1', { 'cache-control': 'only-if-cached' })).status, 503);
  });
}

type Answered = Awaited<ReturnType<WebServer['get']>>;

/** How much longer a cache holds an answer fresh that it gets now: RFC 9111, 4.2. */
function freshS({ headers }: Answered): number {
  return Number(/max-age=(\d+)/.exec(headers['cache-control'] ?? '')?.[1]) - Number(headers['age'] ?? 0);
}

function staleS({ headers }: Answered): number {
  return Number(/stale-while-revalidate=(\d+)/.exec(headers['cache-control'] ?? '')?.[1]);
}

function bound(of: WebServer): { get: WebServer['get']; errors: readonly unknown[] } {
  return { get: (...args) => of.get(...args), errors: of.errors };
}
