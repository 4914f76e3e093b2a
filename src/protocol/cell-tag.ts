const HASH_SLOTS = 16_384;

/** A hash slot of Redis Cluster: CRC-16/XMODEM of the tag, modulo 16,384 (Redis Cluster specification, "Key distribution model"). */
export function hashSlotOf(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++) {
    crc ^= tag.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % HASH_SLOTS;
}

/**
 * The hash tag of a cell: the smallest number, as text, whose slot lies in the cell's own part of the slots. Masters hold
 * contiguous ranges of slots, so the cells spread evenly over them.
 */
export function cellTag(cell: number, cells: number): string {
  const first = Math.floor((cell * HASH_SLOTS) / cells);
  const end = Math.floor(((cell + 1) * HASH_SLOTS) / cells);
  for (let n = 0; ; n++) {
    const slot = hashSlotOf(String(n));
    if (slot >= first && slot < end) return String(n);
  }
}
