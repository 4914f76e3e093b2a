/**
 * One unbroken life of a source. A new one begins when the system identifier, the timeline or the slot is another, or when
 * Postgres may have crashed and lost commits that were acknowledged asynchronously. The number orders them.
 */
export interface SourceEpoch {
  readonly number: number;
  readonly systemId: string;
  readonly timeline: number;
  /** The random part of the slot's name. */
  readonly slotIdentity: string;
  /** `pg_postmaster_start_time()`, Unix time in milliseconds. */
  readonly postmasterStartedAtMs: number;
}

/** What a relay sees of its source, before a number is given. */
export type SourceLife = Omit<SourceEpoch, 'number'>;
