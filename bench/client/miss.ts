import { Redis } from 'ioredis';
import { startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../../test/support/cache-region.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { Row } from './row.ts';

const MISSES = 20;

/** Commands that reach Redis for a miss and its fill, and for a hit, as MONITOR shows them; what scripts call inside is not counted. */
export async function miss(): Promise<Row> {
  const server = await startRedis();
  const region = await CacheRegion.open(server.url);
  const redis = new Redis(server.url);
  const monitor = await redis.monitor();
  try {
    await region.begin();
    const cache = await region.cache();
    const notes = cache.family('note', { reads: 'primary', load: async () => ({ v: 1 }) });
    // The scripts are known to the server from the first read on.
    await notes.get({ id: 'first' });
    await notes.get({ id: 'first' });
    let commands = 0;
    let isOver = false;
    monitor.on('monitor', (_time: string, args: readonly string[], source: string) => {
      if (args[0] === 'echo') isOver = args[1] === 'over';
      // A client tells every 5 s that it lives; what the test itself asks is not the client's.
      else if (source !== 'lua' && !args.some((arg) => arg.includes(':clients') || arg.includes(':agents')))
        commands += 1;
    });
    const counted = async (act: () => Promise<unknown>): Promise<number> => {
      commands = 0;
      isOver = false;
      await act();
      await redis.echo('over');
      await eventually('all was shown', () => isOver);
      return commands;
    };
    const all = (): Promise<unknown> =>
      Promise.all(Array.from({ length: MISSES }, (_, i) => notes.get({ id: `m${i}` })));
    // What came before is shown late.
    await counted(async () => undefined);
    const [misses, hits] = [await counted(all), await counted(all)];
    const [perMiss, perHit] = [misses / MISSES, hits / MISSES];
    if (cache.stats().stored !== MISSES + 1) throw new Error('Not every miss was stored.');
    return {
      what: 'commands for a miss and its fill; for a hit',
      figure: `${perMiss}; ${perHit}`,
      target: '<= 3; 1',
      isMet: perMiss <= 3 && perHit <= 1,
      data: { perMiss, perHit, misses: MISSES },
    };
  } finally {
    monitor.disconnect();
    redis.disconnect();
    await region.close();
    await server.stop();
  }
}
