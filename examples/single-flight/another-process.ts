// The second process of the example: 100 callers of the key that the first is loading.
import { Redis } from 'ioredis';
import { createCache } from '../../src/index.ts';

export interface Told {
  /** Callers that wait for the load of another process, or for one who waits. */
  readonly waits: number;
  readonly loads: number;
  readonly totals?: readonly (number | undefined)[];
}

const redis = new Redis(process.env['REDIS_EU'] ?? '');
const config = process.argv.slice(2);
const cache = await createCache({ config, region: 'eu', redis, buffers: 'off', commandTimeoutMs: 2000 });
const reports = cache.family<{ total: number }, { id: number }>('report', {
  reads: 'primary',
  load: () => ({ total: -1 }),
});
const tell = (told: Partial<Told>): void => {
  const { waits, joins, loads } = cache.stats();
  process.send?.({ waits: waits + joins, loads, ...told } satisfies Told);
};
process.once('disconnect', () => void cache.drain().then(() => redis.disconnect()));
const reading = Promise.all(Array.from({ length: 100 }, () => reports.get({ id: 1 })));
const telling = setInterval(() => tell({}), 20);
const totals = (await reading).map((value) => value?.total);
clearInterval(telling);
tell({ totals });
