import assert from 'node:assert/strict';
import { test } from 'node:test';
import express from 'express';
import { fastify, type FastifyRequest } from 'fastify';
import { Cluster, Redis } from 'ioredis';
import type pg from 'pg';
import * as afterwrite from '../../src/index.ts';
import type { Answer, Cache, CacheEvent, CacheFamily, CacheStats, Inspection } from '../../src/index.ts';

declare module '../../src/index.ts' {
  interface Families {
    /** As `afterwrite config types` writes it. */
    typed: { params: { id: string }; value: { id: string; name: string | null } };
  }
  interface Buffers {
    'typed-views': { kind: 'counter'; params: { post_id: bigint | number | string } };
    'typed-presence': { kind: 'buffer'; params: { user_id: number }; row: { page: string | null } };
  }
}

const { BusError, createCache, isBusError } = afterwrite;

/** Never run: that it compiles is the test. What an application of strict types may write, and what it may not. */
export async function application(pool: pg.Pool): Promise<void> {
  const onEvent = ({ code, error }: CacheEvent): void => console.log(code, error);
  const postgres = { primary: pool, replica: pool };
  const cache: Cache = await createCache({ config: 'bus.yaml', region: 'eu', redis: new Redis(), postgres, onEvent });
  await createCache({ config: ['a.yaml', 'b.yaml'], region: 'eu', redis: new Cluster([]), commandTimeoutMs: 20 });
  await createCache({ config: { text: '' }, region: 'eu', redis: new Redis(), env: { URL: 'x' } });
  // @ts-expect-error a region is needed
  await createCache({ config: 'bus.yaml', redis: new Redis() });

  await cache.counter('typed-views').add({ post_id: 42 }, 2);
  // @ts-expect-error the key is known
  await cache.counter('typed-views').add({ post: 42 });
  await cache.buffer('typed-presence').put({ user_id: 7 }, { page: null });
  // @ts-expect-error the columns are known
  await cache.buffer('typed-presence').put({ user_id: 7 }, { pages: null });
  await cache.counter('told-later').add({ anything: 1 });

  const typed = cache.family('typed');
  const value = await typed.get({ id: '1' }, { signal: AbortSignal.timeout(100), maxStalenessMs: 5 });
  const name: string | null | undefined = value?.name;
  // @ts-expect-error the parameters are known
  await typed.get({ ident: '1' });
  const notes: CacheFamily<{ v: number }, { id: string }> = cache.family<{ v: number }, { id: string }>('note', {
    reads: 'primary',
    load: async ({ id }, { signal }) => {
      signal.throwIfAborted();
      return id === '' ? null : { v: 1 };
    },
  });
  // @ts-expect-error undefined is no absence
  cache.family<{ v: number }, { id: string }>('other', { load: async () => undefined });
  const inferred = cache.family('third', { reads: 'primary', load: async () => ({ n: 1 }) });
  const n: number | undefined = (await inferred.get({ id: 1 }))?.n;

  const many: ({ v: number } | null)[] = await notes.getMany([{ id: '1' }]);
  const peeked: { v: number } | null | undefined = await notes.peek({ id: '1' });
  const evicted: 'evicted' | 'kept' | 'lost' = await notes.evict({ id: '1' });
  const rename = 'update typed set name = $1 returning id, name';
  const typedRow: { id: string; name: string | null } | null = await typed.write(
    { id: '1' },
    async (tx: pg.PoolClient) => (await tx.query<{ id: string; name: string }>(rename, ['x'])).rows[0] ?? null,
    { then: 'update' },
  );
  const changed: number | null = await notes.write({ id: '1' }, async (tx) => (await tx.query(rename)).rowCount);
  // @ts-expect-error what is stored is a value of the family
  await typed.write({ id: '1' }, async () => 7, { then: 'update' });
  const why: Inspection = await notes.inspect({ id: '1' });
  const client = await pool.connect();
  const token: string = await cache.afterWrite(client, { asynchronousCommit: true });
  await cache.afterWrite(pool);
  await notes.get({ id: '1' }, { token });
  const stats: CacheStats = cache.stats();
  await cache.drain().catch((error: unknown) => {
    if (isBusError(error, 'CACHE_CLOSED') && error instanceof BusError) console.log(error.code, error.retry);
  });
  console.log(typedRow, changed, name, n, many, peeked, evicted, why.verdict, stats.hits);
}

/** Likewise: routes of an application, on Fastify and on Express. */
export async function service(cache: Cache): Promise<void> {
  const typed = cache.route({
    family: 'typed',
    params: ({ params }) => (params['id'] === undefined ? null : { id: params['id'] }),
    fresh: '30s',
    render: (value) => value.name?.toUpperCase(),
  });
  const notes = cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load: async () => ({ v: 1 }) });
  const byObject = cache.route({
    family: notes,
    params: async (request: FastifyRequest<{ Params: { id: string } }>) => ({ id: request.params.id }),
    fresh: 30,
    stale: '5m',
    absent: 0,
    maxStaleness: '2s',
    private: true,
    vary: ['Cookie'],
    followsRequest: false,
    age: false,
    type: 'text/plain',
    render: ({ v }) => v.toFixed(),
  });
  const byName = cache.route({ family: 'other', params: (request: express.Request) => ({ id: request.ip }), fresh: 0 });
  // @ts-expect-error the parameters are the family's
  cache.route({ family: notes, params: () => ({ ident: '1' }), fresh: 1 });
  // @ts-expect-error likewise, by its name
  cache.route({ family: 'typed', params: () => ({ id: 7 }), fresh: 1 });
  // @ts-expect-error how long an answer may be kept is nothing that could be guessed
  cache.route({ family: notes, params: () => ({ id: '1' }) });

  const app = fastify();
  app.get('/typed/:id', typed.fastify);
  app.get<{ Params: { id: string } }>('/notes/:id', { config: {} }, byObject.fastify);
  app.route({ method: ['GET', 'HEAD'], url: '/other', handler: byName.fastify });
  const other = express();
  other.get('/typed/:id', typed.express);
  other.route('/other').get(byName.express);
  express.Router().use('/notes', byObject.express);
  const answer: Answer = await typed.answer({ method: 'GET', url: '/', headers: {}, params: { id: '1' }, query: {} });
  console.log(answer.status, answer.headers['etag'], answer.body?.byteLength);
}

test('the package gives an application these names, and no others', () => {
  assert.deepEqual(Object.keys(afterwrite).toSorted(), ['BusError', 'createCache', 'isBusError']);
});
