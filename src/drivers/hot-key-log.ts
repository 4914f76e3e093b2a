import type { BusConfig } from '../config/bus-config.ts';
import type { HotKeyLog } from '../protocol/hot-key.ts';
import { openKafkaHotKeyLog } from './kafka/hot-key-log.ts';
import { openRedisHotKeyLog } from './redis/hot-key-log.ts';

/** The place of hot keys in the log that the file chooses. */
export function openHotKeyLog({ bus, log }: BusConfig): Promise<HotKeyLog> {
  return log.kind === 'kafka' ? openKafkaHotKeyLog(log, `afterwrite-hot-keys-${bus}`) : openRedisHotKeyLog(bus, log);
}
