/**
 * The region's notices of leases that have ended while somebody waited.
 *
 * Promise: none. A notice may be lost, and an invalidation voids a lease without one; whoever waits looks by himself too.
 */
export interface LeaseEnds {
  /** Calls `notice` at each end of a lease of the key, until the function that it returns is called. */
  watch(key: string, notice: () => void): () => void;
}
