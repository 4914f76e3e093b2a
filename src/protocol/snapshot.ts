/** What `pg_current_snapshot()` says: 64-bit transaction ids, as Postgres's "System Information Functions" defines them. */
export interface Snapshot {
  /** Every transaction below has ended. */
  readonly xmin: bigint;
  /** No transaction at or above had ended when the snapshot was taken. */
  readonly xmax: bigint;
  /** In progress between the two. */
  readonly inProgress: ReadonlySet<bigint>;
}

/** Whether a transaction that is known to have committed is visible to the snapshot. */
export function isVisible(snapshot: Snapshot, xid: bigint): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.inProgress.has(xid));
}

/** The 64-bit id of a transaction from its 32 bits in the stream: the one nearest to a current id. Ids in use span less than 2^31. */
export function widenXid(xid: number, near: bigint): bigint {
  const ahead = BigInt.asIntN(32, BigInt(xid) - near);
  return near + ahead;
}
