import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { keyspaceOf } from '../config/region-keyspace.ts';
import { openHotKeyLog } from '../drivers/hot-key-log.ts';
import { GateConnection } from '../drivers/redis/gate-connection.ts';
import type { HotKeys, WarmGate } from '../warmup/hot-keys.ts';

export interface WarmupPorts {
  readonly hotKeys: HotKeys;
  readonly gate: WarmGate;
  close(): Promise<void>;
}

/** Where hot keys are published, and the gate in the region's Redis. Each is connected to when it is asked, so that what is away then may be asked again. */
export function openWarmupPorts(config: BusConfig, region: RegionConfig): WarmupPorts {
  const place = { redis: region.redis, key: keyspaceOf(config, region).gate };
  const connection = new GateConnection(place, { name: `afterwrite-warmup-${config.bus}` });
  return {
    hotKeys: {
      async *of(from, skipped) {
        const log = await openHotKeyLog(config);
        try {
          yield* log.read(from, skipped);
        } finally {
          await log.close();
        }
      },
    },
    gate: {
      read: () => connection.with((gate) => gate.read()),
      report: (epoch, share, shard) => connection.with((gate) => gate.report(epoch, share, shard)),
      warm: (epoch, shard) => connection.with((gate) => gate.warm(epoch, shard)),
    },
    close: () => connection.close(),
  };
}
