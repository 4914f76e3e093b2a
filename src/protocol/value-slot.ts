import { parseFlags } from './value-flags.ts';

/**
 * What stands in the Redis key of a cached value: a lease alone, or a value with its header.
 *
 *     aw1 l <epoch> <token>[!]                                             a lease; its time is the key's TTL
 *     aw1 <v|n> <epoch> <offset> <id> <flags> <lease> <marks>\n<payload>   a value; n is a cached absence, without payload
 *
 * `epoch` and `offset` are the stamp: what the value is held against at each hit. `id` is unique, so that two stores of one value differ. `lease`
 * lies over a value that may still be served while one reader reloads it: `<token>:<until>`, by the Redis server's clock in milliseconds. `!` says
 * that somebody waits for the lease's end. `marks` are the numbers of the tags' marks, so that a hit need not know the tags. `-` stands for nothing.
 * `flags` say more of the value (value-flags.ts). Fields hold no space; everything before the line's end is ASCII.
 *
 * A value that does not begin so is none of ours: a miss, over which a lease is taken.
 */
export interface StoredValue {
  readonly kind: 'value';
  readonly isAbsent: boolean;
  readonly epoch: string;
  readonly offset: number;
  readonly id: string;
  readonly lease: string | undefined;
  /** When that is over, by the Redis server's clock. */
  readonly leasedUntilMs: number | undefined;
  /** How long its load took; undefined where the header does not say. */
  readonly loadMs: number | undefined;
  /** When that began, by the clock of who loaded it; likewise. */
  readonly readAtMs: number | undefined;
  /** Of its shape. */
  readonly version: number;
  readonly tagMarks: readonly number[];
  readonly payload: string;
}

export type Slot =
  | StoredValue
  | { readonly kind: 'lease'; readonly epoch: string; readonly token: string }
  | { readonly kind: 'foreign' };

const NOTHING = '-';

/** Reads a slot. Never throws: what cannot be read is foreign, hence a miss. */
export function parseSlot(text: string): Slot {
  if (!text.startsWith('aw1 ')) return { kind: 'foreign' };
  const kind = text[4];
  if (kind === 'l') {
    const [, , epoch, token, more] = text.split(' ');
    if (epoch === undefined || token === undefined || token === '' || more !== undefined) return { kind: 'foreign' };
    return { kind: 'lease', epoch, token: token.endsWith('!') ? token.slice(0, -1) : token };
  }
  const end = text.indexOf('\n');
  if ((kind !== 'v' && kind !== 'n') || end < 0) return { kind: 'foreign' };
  const [, , epoch, offset, id, flags = NOTHING, lease, marks] = text.slice(0, end).split(' ');
  const place = Number(offset);
  if (epoch === undefined || id === undefined || lease === undefined || marks === undefined) return { kind: 'foreign' };
  if (!Number.isSafeInteger(place)) return { kind: 'foreign' };
  const leaseEnd = lease.lastIndexOf(':');
  const { loadMs, readAtMs, version = 0 } = parseFlags(flags);
  return {
    kind: 'value',
    isAbsent: kind === 'n',
    epoch,
    offset: place,
    id,
    lease: lease === NOTHING ? undefined : lease.slice(0, leaseEnd),
    leasedUntilMs: lease === NOTHING ? undefined : Number.parseInt(lease.slice(leaseEnd + 1), 10),
    loadMs,
    readAtMs,
    version,
    tagMarks: marks === NOTHING ? NO_MARKS : marks.split(',').map(Number),
    payload: text.slice(end + 1),
  };
}

const NO_MARKS: readonly number[] = [];

/** Whether somebody reloads a value that is served. By a clock that is about that of Redis: a wrong answer costs a question, or a little time. */
export function isReloaded({ leasedUntilMs }: StoredValue, nowMs: number): boolean {
  return leasedUntilMs !== undefined && leasedUntilMs > nowMs;
}

/** What is stored; null for a cached absence. */
export function payloadOf(value: StoredValue): string | null {
  return value.isAbsent ? null : value.payload;
}

/** The numbers of marks as the header has them. */
export function printTagMarks(marks: readonly number[]): string {
  return marks.length === 0 ? NOTHING : marks.join(',');
}
