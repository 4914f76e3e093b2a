import type { Family } from '../config/bus-config.ts';
import { livesForMs } from '../protocol/time-to-live.ts';
import type { StoreRequest } from './cache-store.ts';
import { packPayload } from './codec.ts';

export interface LoadTimes {
  /** How long the load took; undefined where that is not known, and then no reader refreshes the value early. */
  readonly loadMs: number | undefined;
  /** When it began. Whoever is told how old the value is may be told too much, never too little. */
  readonly readAtMs: number | undefined;
}

/**
 * How a family's value is stored, whoever stores it: for how long, compressed or not, under which version. `chance` is a number in [0, 1).
 */
export function storedForm(
  { ttlMs, absentMs, jitter, staleMs, compressBytes, version, early }: Family,
  payload: string | null,
  { loadMs, readAtMs }: LoadTimes,
  chance: number,
): Pick<StoreRequest, 'ttlMs' | 'payload' | 'flags'> {
  return {
    ttlMs: livesForMs(payload === null ? absentMs : ttlMs, jitter, chance) + staleMs,
    payload: payload === null ? null : packPayload(payload, compressBytes),
    flags: { loadMs: early === 0 ? undefined : loadMs, readAtMs, version },
  };
}
