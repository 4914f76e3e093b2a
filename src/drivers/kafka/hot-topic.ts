import type { KafkaLogConfig } from '../../config/bus-config.ts';

/** Not what it is read with: a topic that exists says itself how many it has. */
const PARTITIONS = 4;

/** The topic of a bus's hot keys: beside the bus's own, compacted, so that the last record of each bucket stays. */
export function hotTopicOf(config: KafkaLogConfig): KafkaLogConfig {
  return { ...config, topic: `${config.topic}.hot`, partitions: PARTITIONS };
}

/** What takes the place of a record soon takes its room too: buckets are published again and again. */
export const HOT_TOPIC_SETTINGS: Readonly<Record<string, string>> = {
  'cleanup.policy': 'compact',
  'segment.ms': String(10 * 60_000),
  'segment.bytes': String(64 * 1024 * 1024),
  'min.cleanable.dirty.ratio': '0.1',
};
