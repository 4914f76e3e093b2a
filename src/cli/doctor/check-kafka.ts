import type { KafkaLogConfig } from '../../config/bus-config.ts';
import type { TopicFacts, TopicSettings } from '../../drivers/kafka/admin.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

/** The topic: as many partitions as the file says, kept long enough, and never compacted. */
export function checkTopic(config: KafkaLogConfig, topic: TopicFacts, settings: TopicSettings): Finding[] {
  const subject = `topic ${config.topic}`;
  const alter = (setting: string): string =>
    `kafka-configs --alter --entity-type topics --entity-name ${config.topic} --add-config ${setting}`;
  const hours = (ms: number): string => (ms < 0 ? 'for ever' : `${ms / 3_600_000} h`);
  return [
    topic.partitions === config.partitions
      ? ok(subject, `${topic.partitions} partitions`)
      : fail(
          subject,
          `has ${topic.partitions} partitions, the file says ${config.partitions}; the count is fixed for the bus's life`,
          `log.kafka.partitions: ${topic.partitions}`,
        ),
    settings.cleanupPolicy.includes('compact')
      ? fail(
          subject,
          `cleanup.policy is ${settings.cleanupPolicy}: compaction drops records from the middle, and hides gaps`,
          alter('cleanup.policy=delete'),
        )
      : ok(subject, `cleanup.policy is ${settings.cleanupPolicy}`),
    settings.retentionMs < 0 || settings.retentionMs >= config.retentionMs
      ? ok(subject, `records are kept ${hours(settings.retentionMs)}`)
      : warn(
          subject,
          `records are kept ${hours(settings.retentionMs)}, the file says ${hours(config.retentionMs)}: a region that is away longer begins anew`,
          alter(`retention.ms=${config.retentionMs}`),
        ),
    topic.replicationFactor > 1
      ? ok(subject, `${topic.replicationFactor} copies, of which ${settings.minInsyncReplicas} acknowledge`)
      : warn(
          subject,
          'has one copy: a broker that is lost takes records with it',
          'reassign its partitions to three brokers',
        ),
  ];
}
