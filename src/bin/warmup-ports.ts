import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import type { HotKeys, WarmGate } from '../warmup/hot-keys.ts';

export interface WarmupPorts {
  readonly hotKeys: HotKeys;
  readonly gate: WarmGate;
  close(): Promise<void>;
}

/** Connects to where hot keys are published, and to the gate in the region's Redis. */
export async function openWarmupPorts(_config: BusConfig, _region: RegionConfig): Promise<WarmupPorts> {
  throw new BusError('SETTING_INVALID', 'This build has no adapter for published hot keys yet.');
}
