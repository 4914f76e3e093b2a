import type { Mark } from './mark.ts';
import { parseSlot, type StoredValue } from './value-slot.ts';

/** What one step reads for a hit: the slot, and what it is held against. */
export interface ReadFacts {
  readonly slot: string | null;
  /** Milliseconds that the value may still stand; below 0 where it has no end. */
  readonly ttlLeftMs: number;
  /** The cell's epoch; null where its state is lost. */
  readonly epoch: string | null;
  readonly familyMark: Mark | null;
  /** The marks of the value's tags, in the header's order; null where one was never raised. */
  readonly tagMarks: readonly (Mark | null)[];
}

export type HitVerdict =
  | { readonly kind: 'hit'; readonly value: StoredValue }
  /** Past its time to live, inside the family's stale bound. `isLeased`: somebody reloads it. */
  | { readonly kind: 'stale'; readonly value: StoredValue; readonly isLeased: boolean }
  /** Nothing may be served; the lease's holder loads. */
  | { readonly kind: 'held'; readonly token: string }
  | { readonly kind: 'miss'; readonly why: MissReason };

export type MissReason = 'absent' | 'foreign' | 'epoch' | 'version' | 'mark' | 'lost';

/**
 * Decides what a slot is worth:
 *
 *     the cell's state is lost        miss     nothing says what was invalidated
 *     nothing there, or not ours      miss
 *     a lease of this epoch           held     one of a dead epoch is nothing
 *     another epoch                   miss     what came between is unknown
 *     another version of its shape    miss
 *     a mark above the stamp          miss     the family or a tag was invalidated since
 *     past its time to live           stale
 *     else                            hit
 */
export function judgeHit(facts: ReadFacts, staleMs: number, version = 0): HitVerdict {
  if (facts.epoch === null) return { kind: 'miss', why: 'lost' };
  if (facts.slot === null) return { kind: 'miss', why: 'absent' };
  const slot = parseSlot(facts.slot);
  if (slot.kind === 'foreign') return { kind: 'miss', why: 'foreign' };
  if (slot.epoch !== facts.epoch) return { kind: 'miss', why: 'epoch' };
  if (slot.kind === 'lease') return { kind: 'held', token: slot.token };
  if (slot.version !== version) return { kind: 'miss', why: 'version' };
  if (isAbove(facts.familyMark, slot.offset)) return { kind: 'miss', why: 'mark' };
  // As many marks were read as the header names, or the header was read wrong.
  if (facts.tagMarks.length !== slot.tagMarks.length) return { kind: 'miss', why: 'foreign' };
  for (const mark of facts.tagMarks) if (isAbove(mark, slot.offset)) return { kind: 'miss', why: 'mark' };
  if (staleMs > 0 && facts.ttlLeftMs >= 0 && facts.ttlLeftMs <= staleMs)
    return { kind: 'stale', value: slot, isLeased: slot.lease !== undefined };
  return { kind: 'hit', value: slot };
}

function isAbove(mark: Mark | null, offset: number): boolean {
  return mark !== null && mark.offset > offset;
}
