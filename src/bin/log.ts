import type { LogReader, RecordHandler } from '../agent/from-log.ts';
import type { BusConfig } from '../config/bus-config.ts';
import { openKafkaReader } from '../drivers/kafka/reader.ts';
import { openKafkaWriter } from '../drivers/kafka/writer.ts';
import { openStreamsReader } from '../drivers/redis/streams-reader.ts';
import { openStreamsWriter } from '../drivers/redis/streams-writer.ts';
import type { LogWriter } from '../relay/to-log.ts';

/** The log that the file chooses, as the relay writes it. */
export function openWriter({ bus, log, regions }: BusConfig): Promise<LogWriter> {
  return log.kind === 'kafka'
    ? openKafkaWriter(log, `afterwrite-relay-${bus}`)
    : openStreamsWriter(bus, log, new Set(regions.keys()), `afterwrite-relay-${bus}`);
}

/** The log that the file chooses, as a region's agent reads it. */
export function openReader({ bus, log }: BusConfig, region: string, handler: RecordHandler): Promise<LogReader> {
  return log.kind === 'kafka'
    ? openKafkaReader(log, `afterwrite-agent-${bus}-${region}`, handler)
    : openStreamsReader(bus, log, region, handler);
}
