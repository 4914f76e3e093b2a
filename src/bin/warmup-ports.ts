import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { keyspaceOf } from '../config/region-keyspace.ts';
import { openHotKeyLog } from '../drivers/hot-key-log.ts';
import { connectRegion } from '../drivers/redis/cluster-connection.ts';
import { RedisGateStore } from '../drivers/redis/region-gate.ts';
import type { HotKeys, WarmGate } from '../warmup/hot-keys.ts';

export interface WarmupPorts {
  readonly hotKeys: HotKeys;
  readonly gate: WarmGate;
  close(): Promise<void>;
}

/** Connects to where hot keys are published, and to the gate in the region's Redis. */
export async function openWarmupPorts(config: BusConfig, region: RegionConfig): Promise<WarmupPorts> {
  const log = await openHotKeyLog(config);
  try {
    const redis = await connectRegion(region.redis, { name: `afterwrite-warmup-${config.bus}` });
    return {
      hotKeys: { of: (from, skipped) => log.read(from, skipped) },
      gate: new RedisGateStore(redis, keyspaceOf(config, region).gate),
      close: async () => {
        redis.disconnect();
        await log.close();
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}
