import { LSN_ZERO, type Lsn, lsnMax } from '../protocol/lsn.ts';

const ENTRY_BYTES = 12;
const ENTRIES_MAX = 8;

/** A fence bucket. Never changed, only replaced. */
export interface MemoryBucket {
  readonly fold: Lsn;
  readonly entries: readonly FenceEntry[];
}

export interface FenceEntry {
  readonly lsn: Lsn;
  readonly hash: number;
}

const EMPTY: MemoryBucket = { fold: LSN_ZERO, entries: [] };

/** Adds new entries, as apply.lua does. Beyond the capacity one entry a key is kept, what is below `bound` is dropped, and the oldest fold. */
export function addEntries(
  bucket: MemoryBucket | undefined,
  added: Uint8Array,
  bound: Lsn,
): { readonly bucket: MemoryBucket; readonly dropped: Lsn } {
  const { fold, entries } = bucket ?? EMPTY;
  const all = [...entries, ...decodeEntries(added)];
  if (all.length <= ENTRIES_MAX) return { bucket: { fold, entries: all }, dropped: LSN_ZERO };
  return compact(fold, all, bound);
}

function compact(
  fold: Lsn,
  entries: readonly FenceEntry[],
  bound: Lsn,
): { readonly bucket: MemoryBucket; readonly dropped: Lsn } {
  let dropped = LSN_ZERO;
  const byHash = new Map<number, Lsn>();
  for (const { lsn, hash } of entries) byHash.set(hash, lsnMax(byHash.get(hash) ?? LSN_ZERO, lsn));
  const kept: FenceEntry[] = [];
  for (const [hash, lsn] of byHash) {
    if (lsn < bound) dropped = lsnMax(dropped, lsn);
    else kept.push({ lsn, hash });
  }
  let rest = fold;
  if (fold < bound) {
    dropped = lsnMax(dropped, fold);
    rest = LSN_ZERO;
  }
  kept.sort((a, b) => (a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : 0));
  const folded = kept.length - ENTRIES_MAX;
  if (folded > 0) rest = lsnMax(rest, kept[folded - 1]?.lsn ?? LSN_ZERO);
  return { bucket: { fold: rest, entries: folded > 0 ? kept.slice(folded) : kept }, dropped };
}

/** The highest commit LSN that fences a key: its own entries, and what the bucket has folded. */
export function fencedBy(bucket: MemoryBucket | undefined, hash: number): Lsn {
  if (bucket === undefined) return LSN_ZERO;
  let fenced = bucket.fold;
  for (const entry of bucket.entries) if (entry.hash === hash && entry.lsn > fenced) fenced = entry.lsn;
  return fenced;
}

function decodeEntries(bytes: Uint8Array): FenceEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: FenceEntry[] = [];
  for (let at = 0; at < bytes.length; at += ENTRY_BYTES)
    entries.push({ lsn: view.getBigUint64(at) as Lsn, hash: view.getUint32(at + 8) });
  return entries;
}
