import type { KafkaLogConfig } from '../../config/bus-config.ts';
import type { TopicFacts, TopicSettings } from '../../drivers/kafka/admin.ts';
import { fail, type Finding, ok, warn } from './finding.ts';
import { redisRepair, topicRepair } from './repair.ts';

/** The topic: as many partitions as the file says, kept long enough, in more than one copy, and never compacted. */
export function checkTopic(config: KafkaLogConfig, topic: TopicFacts, settings: TopicSettings): Finding[] {
  const subject = `topic ${config.topic}`;
  const alter = (setting: string): string => topicRepair(config.brokers, config.topic, setting);
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
    checkCopies(subject, alter, topic.replicationFactor, settings.minInsyncReplicas),
  ];
}

/** The topic of hot keys. Without it nothing is wrong but that a region that is lost is warmed by nothing. */
export function checkHotTopic(topic: KafkaLogConfig, settings: TopicSettings | undefined): Finding {
  const subject = `topic ${topic.topic}`;
  if (settings === undefined)
    return warn(
      subject,
      'does not exist: hot keys are published nowhere, and no region can be warmed',
      'afterwrite setup',
    );
  if (settings.cleanupPolicy !== 'compact')
    return fail(
      subject,
      `cleanup.policy is ${settings.cleanupPolicy}: hot keys that do not change would be forgotten`,
      topicRepair(topic.brokers, topic.topic, 'cleanup.policy=compact'),
    );
  return ok(subject, 'cleanup.policy is compact: hot keys stay');
}

/** The relay sends with acks=all, which waits for the copies that are in sync: at least min.insync.replicas of them. */
function checkCopies(subject: string, alter: (setting: string) => string, copies: number, minInsync: number): Finding {
  if (copies < minInsync)
    return fail(
      subject,
      `has fewer copies (${copies}) than min.insync.replicas (${minInsync}): every send is refused`,
      alter(`min.insync.replicas=${Math.max(1, copies - 1)}`),
    );
  if (copies === 1)
    return warn(
      subject,
      'has one copy: a broker that is lost takes records with it',
      'kafka-reassign-partitions.sh: three brokers for each partition',
    );
  if (minInsync === 1)
    return warn(
      subject,
      `of ${copies} copies one is enough to acknowledge: a broker that is lost may take records with it`,
      alter('min.insync.replicas=2'),
    );
  return ok(subject, `${copies} copies, of which ${minInsync} acknowledge`);
}

function hours(ms: number): string {
  return ms < 0 ? 'for ever' : `${Number((ms / 3_600_000).toFixed(2))} h`;
}

export interface LogRedisFacts {
  readonly url: string;
  /** As INFO says, such as 7.2.4. */
  readonly version: string;
  readonly appendonly: string;
  readonly appendfsync: string;
  readonly maxmemoryPolicy: string;
}

/** The first with WAITAOF, by which the relay learns what is durable. */
const WAITAOF_VERSION = 702;

/** The Redis of the log: the reverse of a cache. It must never forget. */
export function checkLogRedis(facts: LogRedisFacts): Finding[] {
  const subject = 'log in redis';
  const [major, minor] = facts.version.split('.').map(Number);
  const canWait = (major ?? 0) * 100 + (minor ?? 0) >= WAITAOF_VERSION;
  const { url, appendonly, appendfsync, maxmemoryPolicy } = facts;
  const set = `appendonly ${appendonly}, appendfsync ${appendfsync}`;
  const isDurable = appendonly === 'yes' && (appendfsync === 'always' || (canWait && appendfsync === 'everysec'));
  return [
    isDurable
      ? ok(subject, `keeps what it acknowledges: ${set}`)
      : fail(
          subject,
          `may forget what it acknowledged: ${set}`,
          redisRepair(url, [
            ['appendonly', 'yes'],
            ['appendfsync', 'always'],
          ]),
        ),
    maxmemoryPolicy === 'noeviction'
      ? ok(subject, 'maxmemory-policy is noeviction')
      : fail(
          subject,
          `maxmemory-policy is ${maxmemoryPolicy}: it may evict the log`,
          redisRepair(url, [['maxmemory-policy', 'noeviction']]),
        ),
  ];
}
