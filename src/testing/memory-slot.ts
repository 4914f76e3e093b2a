/** What stands in a key of the region in memory: the texts of value-slot.ts, taken apart. Never changed, only replaced. */
export type MemorySlot = LeaseSlot | ValueSlot | ForeignSlot;

export interface LeaseSlot {
  readonly kind: 'lease';
  readonly epoch: string;
  readonly token: string;
  readonly isWaited: boolean;
  readonly endsAtMs: number;
}

export interface ValueSlot {
  readonly kind: 'value';
  readonly isAbsent: boolean;
  readonly epoch: string;
  readonly offset: number;
  readonly id: string;
  readonly flags: string;
  readonly lease: { readonly token: string; readonly untilMs: number; readonly isWaited: boolean } | undefined;
  readonly marks: readonly number[];
  /** Empty in plain mode, where it stands in the value's own key. */
  readonly payload: string;
  readonly endsAtMs: number;
}

/** A text of a plain writer, or a plain payload of ours. */
export interface ForeignSlot {
  readonly kind: 'foreign';
  readonly text: string;
  readonly endsAtMs: number;
}

/** A key without a TTL. */
export const NEVER = Number.POSITIVE_INFINITY;

const LEASE = /^aw1 l (\S+) ([0-9A-Za-z]+)(!?)$/;
const VALUE = /^aw1 ([vn]) (\S+) (\d+) (\S+) (\S+) (\S+) (\S+)\n/;
const OVERLAID = /^([0-9A-Za-z]+):(\d+)(!?)$/;

/** Takes a text apart that somebody has set: one of ours that was put back is one of ours. */
export function slotOf(text: string, endsAtMs: number): MemorySlot {
  const lease = LEASE.exec(text);
  if (lease !== null) {
    const [, epoch = '', token = '', waited] = lease;
    return { kind: 'lease', epoch, token, isWaited: waited === '!', endsAtMs };
  }
  const value = VALUE.exec(text);
  if (value === null) return { kind: 'foreign', text, endsAtMs };
  const [head, kind, epoch = '', offset, id = '', flags = '', overlaid = '', marks = ''] = value;
  const over = OVERLAID.exec(overlaid);
  return {
    kind: 'value',
    isAbsent: kind === 'n',
    epoch,
    offset: Number(offset),
    id,
    flags,
    lease: over === null ? undefined : { token: over[1] ?? '', untilMs: Number(over[2]), isWaited: over[3] === '!' },
    marks: marks === '-' ? [] : marks.split(',').map(Number),
    payload: text.slice(head.length),
    endsAtMs,
  };
}

export function textOf(slot: MemorySlot): string {
  if (slot.kind === 'foreign') return slot.text;
  if (slot.kind === 'lease') return `aw1 l ${slot.epoch} ${slot.token}${slot.isWaited ? '!' : ''}`;
  const { lease, marks } = slot;
  const over = lease === undefined ? '-' : `${lease.token}:${lease.untilMs}${lease.isWaited ? '!' : ''}`;
  const numbers = marks.length === 0 ? '-' : marks.join(',');
  return `aw1 ${slot.isAbsent ? 'n' : 'v'} ${slot.epoch} ${slot.offset} ${slot.id} ${slot.flags} ${over} ${numbers}\n${slot.payload}`;
}
