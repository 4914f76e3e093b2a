// npm run bench:warmup [-- --keys 1000000] [--evictions 1000] [--foreground 200] [--quiet 20] [--json]
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { publishHotKeys } from '../../test/support/published-hot-keys.ts';
import { REGION, startWarmupLab } from '../../test/support/warmup-lab.ts';
import { countStale } from './compare.ts';
import { Foreground, percentile } from './foreground.ts';
import { runWarmupChild } from './child-run.ts';
import { useCore } from './core.ts';
import { Updates } from './updates.ts';

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    evictions: { type: 'string', default: '0' },
    foreground: { type: 'string', default: '200' },
    quiet: { type: 'string', default: '20' },
    warmup: { type: 'string', default: '{"target":"99.9%"}' },
    apart: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const keys = Number(values.keys);
if (values.apart) useCore(process.pid, 0);
const lab = await startWarmupLab(keys, JSON.parse(values.warmup) as object);
try {
  const redis = new Redis(lab.redisUrl);
  if (values.apart) useCore(Number(/process_id:(\d+)/u.exec(await redis.info('server'))?.[1]), 1);
  await publishHotKeys(lab.config, REGION, 'item', keys);
  const foreground = await Foreground.open(lab.postgresUrl, keys, Number(values.foreground));
  const updates = await Updates.open(lab.postgresUrl, keys, Number(values.evictions));
  const pause = (seconds: number) => () => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  // The updates go on all the time: what is compared is with and without the warm-up.
  updates.start();
  await foreground.during(pause(3));
  const before = await foreground.during(pause(Number(values.quiet)));
  const run: { result?: Awaited<ReturnType<typeof runWarmupChild>> } = {};
  const during = await foreground.during(async () => {
    run.result = await runWarmupChild(lab.configPath, values.apart ? 1 : undefined);
  });
  const after = await foreground.during(pause(Number(values.quiet)));
  await updates.stop();
  await foreground.close();
  const stale = await countStale(lab, redis);
  redis.disconnect();
  const ms = (list: readonly number[], at: number): number => Number(percentile(list, at).toFixed(2));
  const result = {
    keys,
    evictions: updates.done,
    ...run.result,
    foreground: Object.fromEntries(
      Object.entries({ before, during, after }).map(([name, list]) => [
        name,
        { reads: list.length, p50: ms(list, 0.5), p90: ms(list, 0.9), p99: ms(list, 0.99) },
      ]),
    ),
    p99Ratio: Number((percentile(during, 0.99) / percentile([...before, ...after], 0.99)).toFixed(2)),
    stale,
  };
  console.log(values.json ? JSON.stringify(result) : JSON.stringify(result, undefined, 2));
} finally {
  await lab.stop();
}
