import type { ReadToken } from '../protocol/read-token.ts';
import type { Many } from './many.ts';
import type { Entry } from './cache-store.ts';
import type { KeyParams } from './origin.ts';
import type { Told } from './told.ts';

export interface ReadOptions {
  /** As `afterWrite` returned it: the value has seen everything that was committed before. */
  readonly token?: string;
  /** How far the region may be behind the database, by its own measure, for its value to do. */
  readonly maxStalenessMs?: number;
  /** Ends this call's waiting, and the load too if nobody else waits for it. */
  readonly signal?: AbortSignal;
}

/** One call of get. */
export interface Call {
  readonly params: KeyParams;
  readonly entry: Entry;
  readonly token: ReadToken | undefined;
  readonly maxStalenessMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** What it is one of, of a getMany. */
  readonly many: Many | undefined;
  /** To be filled in by what answers. */
  readonly told: Told | undefined;
  /** The tier's, as the read is sent. */
  sending: number;
}
