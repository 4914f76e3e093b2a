import { quoteIdentifier } from '../../drivers/postgres/sql-text.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

export interface ReplicaFacts {
  readonly region: string;
  /** Host, port and database. */
  readonly at: string;
  readonly isInRecovery: boolean;
  readonly systemId: string;
  /** Whether it tells on which timeline it receives WAL. */
  readonly isTimelineKnown: boolean;
  /** Whom we asked as. */
  readonly role: string;
  readonly roleCanReadStats: boolean;
  readonly hotStandbyFeedback: boolean;
}

/** A read replica of a region. `sourceSystemId` is null where the source could not be asked. */
export function checkReplica(replica: ReplicaFacts, sourceSystemId: string | null): Finding[] {
  const subject = `replica of ${replica.region}`;
  const { at } = replica;
  if (!replica.isInRecovery)
    return [fail(subject, `${at} is no replica: it is not in recovery`, `regions.${replica.region}.replicas: its URL`)];
  if (sourceSystemId !== null && replica.systemId !== sourceSystemId)
    return [
      fail(subject, `${at} follows another primary`, `regions.${replica.region}.replicas: a replica of the source`),
    ];
  return [
    ok(subject, sourceSystemId === null ? `${at} is in recovery` : `${at} follows the source`),
    ...checkTimeline(replica, subject),
    ok(
      subject,
      replica.hotStandbyFeedback
        ? 'hot_standby_feedback is on'
        : 'hot_standby_feedback is off: a long query on it holds up replay, for max_standby_streaming_delay at most',
    ),
  ];
}

/** A replayed LSN counts only together with its timeline, so without one nothing is ever settled there. */
function checkTimeline({ at, role, isTimelineKnown, roleCanReadStats }: ReplicaFacts, subject: string): Finding[] {
  if (isTimelineKnown) return [];
  if (!roleCanReadStats)
    return [
      fail(
        subject,
        `${at} hides its timeline from this role, so nothing is ever settled there`,
        `GRANT pg_read_all_stats TO ${quoteIdentifier(role)}; -- on the primary, as a superuser`,
      ),
    ];
  return [warn(subject, `${at} receives no WAL now`, 'SELECT * FROM pg_stat_wal_receiver; -- and look at its log')];
}
