import { BusError, type ErrorCode } from '../protocol/errors.ts';
import { answeredSqlState, faultOf } from '../protocol/sqlstate.ts';

/** What became of one key that was asked for, as the client says it. */
export type WarmedKey =
  | { readonly kind: 'hit' }
  | { readonly kind: 'stored' }
  | { readonly kind: 'unstored'; readonly why: string | undefined }
  | { readonly kind: 'failed'; readonly error: unknown };

export type KeyOutcome =
  | { readonly kind: 'warm'; readonly by: 'hit' | 'load' }
  /** There is nothing that the cache would keep: no such row and absences are not kept, or a label that cannot be printed. */
  | { readonly kind: 'none' }
  /** Loaded, and something crossed it: an eviction, rules that differ. It may be stored another time. */
  | { readonly kind: 'crossed' }
  /** The key's own fault: its readers get the same error. */
  | { readonly kind: 'unreadable'; readonly error: unknown }
  /** Of the moment: the same may be asked again. */
  | { readonly kind: 'again'; readonly failure: 'timeout' | 'refused' }
  /** It can never be loaded by anybody until a person acts. */
  | { readonly kind: 'never'; readonly error: unknown };

const NONE = new Set<string | undefined>(['absence', 'label']);

const TIMEOUT = new Set<ErrorCode>(['POSTGRES_TIMEOUT', 'CACHE_LOAD_TIMEOUT', 'CACHE_OVERLOADED']);
/** Wrong for one key at least; for how many, the warm-up counts. */
const UNREADABLE = new Set<ErrorCode>([
  'SOURCE_ROWS_UNEXPECTED',
  'KEY_PARAMETER_INVALID',
  'CACHE_KEY_TOO_LONG',
  'CACHE_VALUE_INVALID',
]);
const NEVER = new Set<ErrorCode>([
  'SOURCE_INVALID',
  'POSTGRES_PERMISSION',
  'POSTGRES_AUTHENTICATION',
  'POSTGRES_POOL_INVALID',
  'POSTGRES_POOL_MISDIRECTED',
  'REPLICA_UNFIT',
  'CACHE_LOADER_MISSING',
  'CACHE_FAMILY_UNKNOWN',
]);

export function outcomeOf(key: WarmedKey): KeyOutcome {
  switch (key.kind) {
    case 'hit':
      return { kind: 'warm', by: 'hit' };
    case 'stored':
      return { kind: 'warm', by: 'load' };
    case 'unstored':
      return { kind: NONE.has(key.why) ? 'none' : 'crossed' };
    case 'failed':
      return ofError(key.error);
  }
}

function ofError(error: unknown): KeyOutcome {
  // An application's loader throws what it likes: it is its key's.
  if (!(error instanceof BusError)) return { kind: 'unreadable', error };
  if (error.code === 'POSTGRES_QUERY_FAILED') return ofFault(error);
  if (TIMEOUT.has(error.code)) return { kind: 'again', failure: 'timeout' };
  if (UNREADABLE.has(error.code)) return { kind: 'unreadable', error };
  if (NEVER.has(error.code)) return { kind: 'never', error };
  return { kind: 'again', failure: 'refused' };
}

function ofFault(error: BusError): KeyOutcome {
  const fault = faultOf(answeredSqlState(error) ?? '');
  if (fault === 'statement') return { kind: 'never', error };
  return fault === 'data' ? { kind: 'unreadable', error } : { kind: 'again', failure: 'refused' };
}
