import type { RedisIdentity } from './region-store.ts';

/**
 * Whether a Redis server is none of those that were seen before, nor one that followed any of them; in a cluster, where a cell may have moved
 * from one to another with all that it holds. A restart keeps the replication id where it
 * keeps data; a promoted replica names its master's ("Redis replication", Replication ID explained). Then positions and values are of
 * one piece, and the positions tell where to go on. Otherwise they are somebody else's.
 */
export function isUnrelated(before: readonly RedisIdentity[], now: RedisIdentity): boolean {
  return !before.some(
    ({ runId, replicationId }) =>
      now.runId === runId || now.replicationId === replicationId || now.formerReplicationId === replicationId,
  );
}

/** The servers of a region beside those that were seen last: the same ones, others of their history, or one at least that is a stranger. */
export type Servers = 'same' | 'successors' | 'strangers';

/** `before` undefined: none was seen yet, so that nothing can be said against these. */
export function judgeServers(before: readonly RedisIdentity[] | undefined, now: readonly RedisIdentity[]): Servers {
  if (before === undefined) return 'same';
  if (now.some((one) => isUnrelated(before, one))) return 'strangers';
  return now.every(({ runId }) => before.some((one) => one.runId === runId)) ? 'same' : 'successors';
}

/**
 * What has happened to a region's Redis.
 *
 *     REPLAY    another server of the same history: a promotion, a restart with its data. The gate stays as it is
 *     COLD      there is no gate: it is made, under a new epoch
 *     DISTRUST  a stranger with a gate: its cells begin anew, and with half of them the gate
 */
export type RedisChange = 'REPLAY' | 'COLD' | 'DISTRUST';

export function judgeRedis(servers: Servers, hasGate: boolean): RedisChange | undefined {
  if (!hasGate) return 'COLD';
  if (servers === 'same') return undefined;
  return servers === 'successors' ? 'REPLAY' : 'DISTRUST';
}
