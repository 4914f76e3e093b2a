// A process of its own for each measurement, so that none inherits another's heap: node caller.ts CONTENDER WISH, the wish as JSON. Answers with one line of JSON.
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createCache } from '../../src/index.ts';
import type { CallerWish } from './contender.ts';
import { runLoad } from './load.ts';
import { zipfDraws } from './zipf.ts';

const [contender = '', wishText = '{}'] = process.argv.slice(2);
const wish = JSON.parse(wishText) as CallerWish;
const draws = zipfDraws(1 << 20, wish.keys, wish.seed);
const load = {
  callers: wish.callers,
  together: wish.together,
  warmUpMs: wish.warmUpMs,
  measureMs: wish.measureMs,
  draws,
};

async function afterwrite(): Promise<unknown> {
  const redis = new Redis(wish.cacheRedis, { lazyConnect: true });
  const cache = await createCache({ config: wish.file, region: 'eu', redis, onEvent: () => undefined });
  const views = cache.counter('views');
  const result = await runLoad((id) => views.add({ id }), load);
  const { buffers } = cache.stats();
  await cache.drain();
  return { ...result, entriesHeld: buffers['views']?.depth?.entries ?? 0 };
}

/** Calls that are gathered for a window and sent as `addBulk`, each by `toJobs`; every call waits for its batch. */
async function bullmq(toJobs: (ids: readonly number[]) => { name: string; data: unknown }[]): Promise<unknown> {
  const queue = new Queue('views', {
    connection: { host: '127.0.0.1', port: Number(new URL(wish.bufferRedis).port) },
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  await queue.waitUntilReady();
  let ids: number[] = [];
  let batch = Promise.withResolvers<void>();
  let isArmed = false;
  const send = (): void => {
    const [sent, done] = [ids, batch];
    ids = [];
    batch = Promise.withResolvers();
    isArmed = false;
    queue.addBulk(toJobs(sent)).then(() => done.resolve(), done.reject);
  };
  const result = await runLoad((id) => {
    ids.push(id);
    const { promise } = batch;
    if (!isArmed) {
      isArmed = true;
      setTimeout(send, wish.windowMs);
    }
    return promise;
  }, load);
  await queue.close();
  return result;
}

const jobOfEach = (ids: readonly number[]) => ids.map((id) => ({ name: 'add', data: { id, n: 1 } }));

/** What an application can do by itself in front of a queue: one job for the window, its keys added up. */
function jobOfWindow(ids: readonly number[]): { name: string; data: unknown }[] {
  const sums = new Map<number, number>();
  for (const id of ids) sums.set(id, (sums.get(id) ?? 0) + 1);
  return [{ name: 'add', data: [...sums].flat() }];
}

const CONTENDERS: Readonly<Record<string, () => Promise<unknown>>> = {
  afterwrite,
  'bullmq-each': () => bullmq(jobOfEach),
  'bullmq-window': () => bullmq(jobOfWindow),
};
const measure = CONTENDERS[contender];
if (measure === undefined) throw new Error(`No contender ${contender}: ${Object.keys(CONTENDERS).join(', ')}.`);
console.log(JSON.stringify(await measure()));
process.exit();
