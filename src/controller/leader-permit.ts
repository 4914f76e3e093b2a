/**
 * The right to act as the leader, for one term. It runs out by itself, by the clock of whoever holds it, and is not given back to an old
 * holder: a new term is a new permit.
 *
 * Whoever sends a request under a permit asks `remainingMs` as the last thing before it leaves, and lets it go on for no longer than that.
 */
export interface LeaderPermit {
  /** The fencing token: how often the lease had changed hands. A later leader's is higher. */
  readonly token: number;
  /** Zero where nothing may be done any more. */
  remainingMs(): number;
}
