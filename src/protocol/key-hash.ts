/**
 * MurmurHash3, x86, 32 bits, seed 0, over the UTF-8 bytes of a key (Appleby, 2011; public domain reference `MurmurHash3.cpp`).
 * It decides the cell and the fence bucket, so every client in every language must compute the same: it is part of the wire
 * format. Test vectors stand in the unit test.
 */
export function hashKey(key: string): number {
  for (let i = 0; i < key.length; i++) {
    if (key.charCodeAt(i) > 0x7f) return hashUtf8(key);
  }
  return murmur3(key.length, (i) => key.charCodeAt(i));
}

/** The cell of a key: the partition of the log that carries its invalidations. */
export function cellOf(hash: number, cells: number): number {
  return hash % cells;
}

/** The fence bucket of a key within its cell. What chose the cell is divided out, so that a cell uses all of its buckets. */
export function bucketOf(hash: number, cells: number, bucketsPerCell: number): number {
  return Math.floor(hash / cells) % bucketsPerCell;
}

const encoder = new TextEncoder();

function hashUtf8(key: string): number {
  const bytes = encoder.encode(key);
  return murmur3(bytes.length, (i) => bytes[i] ?? 0);
}

function murmur3(length: number, byteAt: (index: number) => number): number {
  let h = 0;
  const blocksEnd = length & ~3;
  for (let i = 0; i < blocksEnd; i += 4) {
    const k = byteAt(i) | (byteAt(i + 1) << 8) | (byteAt(i + 2) << 16) | (byteAt(i + 3) << 24);
    h ^= scramble(k);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe654_6b64) | 0;
  }
  let tail = 0;
  for (let i = length - 1; i >= blocksEnd; i--) tail = (tail << 8) | byteAt(i);
  if (blocksEnd < length) h ^= scramble(tail);
  h ^= length;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e_2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
}
