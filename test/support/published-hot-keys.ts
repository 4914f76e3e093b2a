import type { BusConfig } from '../../src/config/bus-config.ts';
import { openHotKeyLog } from '../../src/drivers/hot-key-log.ts';
import { HOT_BUCKETS, type HotKey, hotBucketOf } from '../../src/protocol/hot-key.ts';
import { zipfKeys } from './memory-warmup.ts';

/** Publishes `<family>:1` to `<family>:<count>` by Zipf's law as all that the region's readers ask for. */
export async function publishHotKeys(config: BusConfig, region: string, family: string, count: number): Promise<void> {
  const buckets = Array.from({ length: HOT_BUCKETS }, (): HotKey[] => []);
  for (const key of zipfKeys(`${family}:`, count)) buckets[hotBucketOf(key.key)]?.push(key);
  const log = await openHotKeyLog(config);
  try {
    const others = [...config.families.keys()].flatMap((name) =>
      buckets.map((keys, bucket) => ({ family: name, bucket, atMs: Date.now(), keys: name === family ? keys : [] })),
    );
    await log.write(region, others);
  } finally {
    await log.close();
  }
}
