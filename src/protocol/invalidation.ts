/** What happens to the entries of an invalidation: dropped, loaded anew, or marked stale so that one reader reloads them. */
export type Act = 'evict' | 'refresh' | 'expire';

/** One instruction on the bus. A key goes to the partition of its cell; families and tags go to every partition. */
export type Invalidation =
  | { readonly scope: 'key'; readonly family: string; readonly act: Act; readonly key: string }
  | { readonly scope: 'family'; readonly family: string; readonly act: Act }
  | { readonly scope: 'tag'; readonly tag: string };

/** Tags share this many marks in a cell, by hash: a collision evicts more, never less. */
export const TAG_MARKS = 1024;

/** All fence buckets of a region, spread over its cells. */
export const FENCE_BUCKETS = 65_536;
