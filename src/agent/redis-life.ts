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
