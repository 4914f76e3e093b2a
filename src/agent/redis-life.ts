import type { RedisIdentity } from './region-store.ts';

/**
 * Whether a Redis server is neither the one that was seen before nor one that followed it. A restart keeps the replication id where it
 * keeps data; a promoted replica names its master's ("Redis replication", Replication ID explained). Then positions and values are of
 * one piece, and the positions tell where to go on. Otherwise they are somebody else's.
 */
export function isUnrelated(before: RedisIdentity, now: RedisIdentity): boolean {
  if (before.runId === now.runId) return false;
  return now.replicationId !== before.replicationId && now.formerReplicationId !== before.replicationId;
}
