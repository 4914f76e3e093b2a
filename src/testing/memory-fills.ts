import type {
  Entry,
  LeaseReply,
  LeaseRequest,
  ReadReply,
  ReadWants,
  StoreRefusal,
  StoreReply,
  StoreRequest,
  WriteLeaseReply,
  WriteLeaseRequest,
} from '../client/cache-store.ts';
import type { ExpiredKey, SweptKeys } from '../agent/region-store.ts';
import { parseFlags, printFlags } from '../protocol/value-flags.ts';
import type { MemoryCell } from './memory-cell.ts';
import { fencedBy } from './memory-fence.ts';
import type { MemoryKeys, Tracker } from './memory-keys.ts';
import { type LeaseSlot, type MemorySlot, textOf, type ValueSlot } from './memory-slot.ts';

/** The steps of readers and writers: read.lua, lease.lua, lease-to-write.lua, store.lua and give-up.lua, line for line. */
export class MemoryFills {
  readonly #keys: MemoryKeys;
  readonly #cell: (cell: number) => MemoryCell;
  readonly #nowMs: () => number;
  readonly #leaseEnded: (key: string) => void;

  constructor(
    keys: MemoryKeys,
    cell: (cell: number) => MemoryCell,
    nowMs: () => number,
    leaseEnded: (key: string) => void,
  ) {
    this.#keys = keys;
    this.#cell = cell;
    this.#nowMs = nowMs;
    this.#leaseEnded = leaseEnded;
  }

  read(entry: Entry, wants: ReadWants, tracker?: Tracker): ReadReply {
    const cell = this.#cell(entry.cell);
    if (tracker !== undefined) this.#keys.track(entry.key, tracker);
    const slot = this.#slot(entry);
    const { position } = cell;
    return {
      slot: slot === undefined ? null : this.#text(entry, slot),
      ttlLeftMs: slot !== undefined && wants.ttl ? this.#keys.left(slot) : -1,
      epoch: cell.epoch ?? null,
      familyMark: cell.marks.get(`f:${entry.family}`) ?? null,
      tagMarks: slot?.kind === 'value' ? slot.marks.map((mark) => cell.marks.get(`t:${mark}`) ?? null) : [],
      rule: cell.rules.get(entry.family) ?? null,
      watermark:
        !wants.watermark || position === undefined
          ? null
          : { timeline: position.sourceEpoch.timeline, lsn: position.watermark, asOfMs: position.asOfMs },
    };
  }

  lease(entry: Entry, request: LeaseRequest): LeaseReply {
    const cell = this.#cell(entry.cell);
    const { epoch, position } = cell;
    if (epoch === undefined || position === undefined) return { kind: 'lost' };
    const rule = cell.rules.get(entry.family) ?? null;
    if (rule !== request.rule) return { kind: 'rules', rule };
    const refused = this.#takeLease(entry, request, cell, epoch);
    if (refused !== undefined) return refused;
    return {
      kind: 'leased',
      reading: {
        epoch,
        offset: position.offset,
        timeline: position.sourceEpoch.timeline,
        floor: position.floor,
        fenced: fencedBy(cell.buckets.get(entry.bucket), entry.hash),
        droppedLsn: position.droppedLsn,
        settledPrimary: position.settledPrimary,
        settledReplica: position.settledReplica,
      },
    };
  }

  /** Undefined where the token holds the lease from now on, or did already. */
  #takeLease(entry: Entry, request: LeaseRequest, cell: MemoryCell, epoch: string): LeaseReply | undefined {
    const { token, leaseMs, staleMs, waits, early, version = 0 } = request;
    const nowMs = this.#nowMs();
    const slot = this.#slot(entry);
    if (slot?.kind === 'lease' && slot.epoch === epoch) {
      if (slot.token === token) return undefined;
      if (waits && !slot.isWaited) this.#put(entry, { ...slot, isWaited: true });
      return { kind: 'held', token: slot.token };
    }
    const isOfVersion = slot?.kind === 'value' && (parseFlags(slot.flags).version ?? 0) === version;
    if (isOfVersion && slot.epoch === epoch && this.#isServable(entry, slot, cell)) {
      const { lease } = slot;
      const left = this.#keys.left(slot);
      if (lease?.token === token) return undefined;
      const isEarly = slot.id === early;
      if ((left < 0 || left > staleMs) && !isEarly) return { kind: 'live' };
      if (lease !== undefined && lease.untilMs > nowMs) {
        if (waits && !lease.isWaited) this.#put(entry, { ...slot, lease: { ...lease, isWaited: true } });
        return { kind: 'held', token: lease.token };
      }
      if (left > leaseMs || isEarly) {
        this.#put(entry, { ...slot, lease: { token, untilMs: nowMs + leaseMs, isWaited: false } });
        return undefined;
      }
    }
    this.#put(entry, { kind: 'lease', epoch, token, isWaited: false, endsAtMs: nowMs + leaseMs });
    return undefined;
  }

  leaseToWrite(entry: Entry, { token, leaseMs, rule }: WriteLeaseRequest): WriteLeaseReply {
    const cell = this.#cell(entry.cell);
    const { epoch, position } = cell;
    if (epoch === undefined || position === undefined) return { kind: 'lost' };
    const stands = cell.rules.get(entry.family) ?? null;
    if (stands !== rule) return { kind: 'rules', rule: stands };
    const slot = this.#slot(entry);
    const isWaited = leaseIn(slot)?.isWaited ?? false;
    const endsAtMs = this.#nowMs() + leaseMs;
    if (slot?.kind === 'value' && slot.epoch === epoch && this.#isServable(entry, slot, cell))
      this.#put(entry, { ...slot, lease: { token, untilMs: endsAtMs, isWaited } });
    else this.#put(entry, { kind: 'lease', epoch, token, isWaited, endsAtMs });
    return { kind: 'leased', reading: { epoch, offset: position.offset } };
  }

  #isServable(entry: Entry, slot: ValueSlot, cell: MemoryCell): boolean {
    if (entry.isPlain && !slot.isAbsent && this.#keys.get(entry.key, 'value') === undefined) return false;
    return !isMarked(entry.family, slot, cell);
  }

  /** As apply.lua: whether the value is kept for its stale bound. Of one that is not, what stands beside it is dropped. */
  expire(number: number, { key, isPlain, family, ruleHash, staleMs }: ExpiredKey): boolean {
    const place = isPlain ? 'beside' : 'value';
    const slot = this.#keys.get(key, place);
    if (slot?.kind !== 'value' || this.#cell(number).rules.get(family)?.split(' ')[0] !== ruleHash) {
      if (isPlain) this.#keys.drop(key, 'beside');
      return false;
    }
    const endsAtMs = Math.min(slot.endsAtMs, this.#nowMs() + staleMs);
    this.#keys.put(key, place, { ...slot, lease: undefined, endsAtMs });
    const payload = isPlain ? this.#keys.get(key, 'value') : undefined;
    if (payload !== undefined && endsAtMs < slot.endsAtMs) this.#keys.put(key, 'value', { ...payload, endsAtMs });
    return true;
  }

  /** sweep.lua: how many values were dropped. */
  sweep(number: number, { family, keys, isPlain }: SweptKeys): number {
    const cell = this.#cell(number);
    let dropped = 0;
    for (const key of keys) {
      const slot = this.#keys.get(key, isPlain ? 'beside' : 'value');
      const isOfEpoch = cell.epoch !== undefined && slot?.kind !== 'foreign' && slot?.epoch === cell.epoch;
      const isLease = isOfEpoch && slot.kind === 'lease';
      const isKept = isLease ? !isPlain : isOfEpoch && slot.kind === 'value' && !isMarked(family, slot, cell);
      if (isKept) continue;
      if (this.#keys.drop(key, 'value')) dropped += 1;
      if (isPlain && !isLease) this.#keys.drop(key, 'beside');
    }
    return dropped;
  }

  store(entry: Entry, request: StoreRequest): StoreReply {
    const slot = this.#slot(entry);
    const lease = leaseIn(slot);
    if (slot === undefined || lease?.token !== request.token) return { kind: 'refused', why: 'lease' };
    const why = whyNot(entry, request, this.#cell(entry.cell));
    if (why === undefined) this.#write(entry, request);
    else if (slot.kind === 'value') this.#put(entry, { ...slot, lease: undefined });
    else this.#keys.drop(entry.key, placeOf(entry));
    if (lease.isWaited) this.#leaseEnded(entry.key);
    return why === undefined ? { kind: 'stored' } : { kind: 'refused', why };
  }

  #write(entry: Entry, request: StoreRequest): void {
    const { epoch, offset, id, payload } = request;
    const endsAtMs = this.#nowMs() + request.ttlMs;
    const value = {
      kind: 'value',
      isAbsent: payload === null,
      epoch,
      offset,
      id,
      flags: printFlags(request.flags ?? {}),
      lease: undefined,
      marks: request.tagMarks,
      endsAtMs,
    } as const;
    this.#put(entry, { ...value, payload: entry.isPlain ? '' : (payload ?? '') });
    if (!entry.isPlain) return;
    if (payload === null) this.#keys.drop(entry.key, 'value');
    else this.#keys.put(entry.key, 'value', { kind: 'foreign', text: payload, endsAtMs });
  }

  giveUp(entry: Entry, token: string): void {
    const slot = this.#slot(entry);
    const lease = leaseIn(slot);
    if (slot === undefined || lease?.token !== token) return;
    if (slot.kind === 'value') this.#put(entry, { ...slot, lease: undefined });
    else this.#keys.drop(entry.key, placeOf(entry));
    if (lease.isWaited) this.#leaseEnded(entry.key);
  }

  /** A plain value is header and payload; one that has lost its payload is none. */
  #text(entry: Entry, slot: MemorySlot): string | null {
    if (!entry.isPlain || slot.kind !== 'value' || slot.isAbsent) return textOf(slot);
    const payload = this.#keys.get(entry.key, 'value');
    return payload === undefined ? null : textOf(slot) + textOf(payload);
  }

  #slot(entry: Entry): MemorySlot | undefined {
    return this.#keys.get(entry.key, placeOf(entry));
  }

  #put(entry: Entry, slot: MemorySlot): void {
    this.#keys.put(entry.key, placeOf(entry), slot);
  }
}

/** The lease in a slot, alone or over a value. */
function leaseIn(slot: MemorySlot | undefined): Pick<LeaseSlot, 'token' | 'isWaited'> | undefined {
  return slot?.kind === 'lease' ? slot : slot?.kind === 'value' ? slot.lease : undefined;
}

/** What of the cell no longer is as the lease's reading found it. */
function whyNot(entry: Entry, request: StoreRequest, cell: MemoryCell): StoreRefusal | undefined {
  const { offset, bound } = request;
  if (cell.position === undefined || cell.epoch === undefined) return 'lost';
  if (cell.epoch !== request.epoch) return 'epoch';
  if (cell.position.offset < offset) return 'position';
  if (cell.rules.get(entry.family) !== request.rule) return 'rules';
  const isAbove = (field: string): boolean => {
    const mark = cell.marks.get(field);
    return mark !== undefined && (mark.offset > offset || mark.lsn >= bound);
  };
  return isAbove(`f:${entry.family}`) || request.tagMarks.some((mark) => isAbove(`t:${mark}`)) ? 'mark' : undefined;
}

function placeOf(entry: Entry): 'value' | 'beside' {
  return entry.isPlain ? 'beside' : 'value';
}

function isMarked(family: string, { offset, marks }: ValueSlot, cell: MemoryCell): boolean {
  return cell.isMarkedAbove(`f:${family}`, offset) || marks.some((mark) => cell.isMarkedAbove(`t:${mark}`, offset));
}
