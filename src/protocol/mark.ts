import { TAG_MARKS } from './invalidation.ts';
import { hashKey } from './key-hash.ts';
import { type Lsn, lsnFromHex } from './lsn.ts';

/** The last invalidation of a family or of the tags that share a number, in a cell. As text `<offset>:<lsn>`; each part is raised by its own maximum. */
export interface Mark {
  readonly offset: number;
  readonly lsn: Lsn;
}

export function parseMark(text: string): Mark {
  const colon = text.indexOf(':');
  return { offset: Number(text.slice(0, colon)), lsn: lsnFromHex(text.slice(colon + 1)) };
}

/** The number of a tag's mark. Tags share numbers by hash: a collision evicts more, never less. */
export function tagMarkOf(tag: string): number {
  return hashKey(tag) % TAG_MARKS;
}
