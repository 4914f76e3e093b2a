import type {
  ApplyAnswer,
  ApplyBatch,
  NewEpoch,
  NewRules,
  OwedRefresh,
  StoredCell,
  StoredPosition,
} from '../agent/region-store.ts';
import { LSN_ZERO, type Lsn, lsnMax } from '../protocol/lsn.ts';
import type { Mark } from '../protocol/mark.ts';
import { NOTHING_SETTLED, type SettledMark } from '../protocol/settled-mark.ts';
import { addEntries, type MemoryBucket } from './memory-fence.ts';

export interface MemoryPosition extends StoredPosition {
  readonly floor: Lsn;
  readonly droppedLsn: Lsn;
}

/** One cell's region record, state and owed sweeps. What a script would do in Redis is one method here. */
export class MemoryCell {
  /** The region record: owner, position, buckets. */
  owner: { readonly token: string; readonly count: number } | undefined;
  position: MemoryPosition | undefined;
  buckets = new Map<number, MemoryBucket>();
  /** The cell state: epoch, marks, rules. */
  epoch: string | undefined;
  marks = new Map<string, Mark>();
  rules = new Map<string, string>();
  sweeps = new Map<string, string>();
  refreshes = new Map<string, OwedRefresh>();

  get ownerText(): string {
    return this.owner === undefined ? '' : `${this.owner.token}:${this.owner.count}`;
  }

  isOwnedBy(token: string): boolean {
    return this.owner?.token === token;
  }

  take(seen: string, token: string): boolean {
    if (this.ownerText !== seen) return false;
    this.owner = { token, count: (this.owner?.count ?? 0) + 1 };
    return true;
  }

  read(): StoredCell {
    if (this.position === undefined || this.epoch === undefined) return null;
    const { offset, sourceEpoch, watermark, settledPrimary, settledReplica, asOfMs, reached } = this.position;
    const { epoch } = this;
    const position = { offset, sourceEpoch, watermark, settledPrimary, settledReplica, asOfMs, epoch };
    return reached === undefined ? position : { ...position, reached };
  }

  /** Null where the owner differs; the stored offset, or -1 where the record or the state is lost. */
  beat(token: string): number | null {
    if (!this.isOwnedBy(token)) return null;
    this.#countUp();
    return this.position === undefined || this.epoch === undefined ? -1 : this.position.offset;
  }

  /** Everything of an apply but the keys, which `unlink` drops once nothing differs. */
  apply(
    token: string,
    batch: ApplyBatch,
    unlink: () => { readonly unlinked: number; readonly expired: number },
  ): ApplyAnswer {
    if (!this.isOwnedBy(token)) return { kind: 'owner' };
    const { position } = this;
    if (position === undefined || this.epoch === undefined) return { kind: 'lost' };
    if (position.offset !== batch.after || (batch.epoch ?? this.epoch) !== this.epoch) return { kind: 'position' };
    const done = unlink();
    const settledPrimary = larger(position.settledPrimary, batch.settledPrimary);
    const bound = settledEverywhere(settledPrimary, batch.hasReplicas ? position.settledReplica : undefined);
    let { droppedLsn } = position;
    for (const [number, entries] of batch.fences) {
      const { bucket, dropped } = addEntries(this.buckets.get(number), entries, bound);
      this.buckets.set(number, bucket);
      droppedLsn = lsnMax(droppedLsn, dropped);
    }
    for (const mark of batch.marks) this.#raise(mark.field, mark);
    for (const rules of batch.rules) this.#tell(rules);
    for (const [field, value] of batch.sweeps) this.sweeps.set(field, value);
    this.#countUp();
    this.position = {
      offset: batch.offset,
      sourceEpoch: batch.sourceEpoch,
      watermark: lsnMax(position.watermark, batch.watermark),
      ...(batch.reached === undefined ? {} : { reached: batch.reached }),
      asOfMs: Math.max(position.asOfMs, batch.asOfMs),
      floor: position.floor,
      settledPrimary,
      settledReplica: position.settledReplica,
      droppedLsn,
    };
    return { kind: 'applied', ...done };
  }

  beginEpoch(token: string, epoch: NewEpoch): ApplyAnswer {
    if (!this.isOwnedBy(token)) return { kind: 'owner' };
    if (this.position !== undefined && this.epoch !== undefined && this.position.offset !== epoch.after)
      return { kind: 'position' };
    this.#countUp();
    this.position = {
      offset: epoch.offset,
      sourceEpoch: epoch.sourceEpoch,
      watermark: epoch.watermark,
      ...(epoch.reached === undefined ? {} : { reached: epoch.reached }),
      asOfMs: 0,
      floor: epoch.floor,
      settledPrimary: NOTHING_SETTLED,
      settledReplica: NOTHING_SETTLED,
      droppedLsn: LSN_ZERO,
    };
    this.buckets.clear();
    this.epoch = epoch.name;
    this.marks.clear();
    this.sweeps.set('*', epoch.name);
    return { kind: 'applied', unlinked: 0, expired: 0 };
  }

  settleReplica(token: string, mark: SettledMark): void {
    if (!this.isOwnedBy(token) || this.position === undefined) return;
    if (isLess(this.position.settledReplica, mark)) this.position = { ...this.position, settledReplica: mark };
  }

  /** `rules`: the rule hash of each family that the agent's file has. */
  clearSweeps(token: string, done: ReadonlyMap<string, string>, rules: ReadonlyMap<string, string>): void {
    if (!this.isOwnedBy(token)) return;
    for (const [field, value] of done) {
      if (this.sweeps.get(field) !== value || !this.#isSwept(field, rules)) continue;
      this.sweeps.delete(field);
      if (!field.startsWith('f:')) this.#leaveUnswept(field, value, rules);
    }
  }

  #isSwept(field: string, rules: ReadonlyMap<string, string>): boolean {
    if (!field.startsWith('f:')) return this.rules.size > 0;
    const text = this.rules.get(field.slice(2));
    const hash = rules.get(field.slice(2));
    return hash !== undefined && (text === undefined || text.split(' ')[0] === hash);
  }

  /** What a sweep of a tag or of everything could not reach goes on owing its own. */
  #leaveUnswept(field: string, value: string, rules: ReadonlyMap<string, string>): void {
    for (const [family, text] of this.rules) {
      const [hash, , ...labels] = text.split(' ');
      if (rules.get(family) === hash || (field !== '*' && labels.length === 0)) continue;
      if (!this.sweeps.has(`f:${family}`)) this.sweeps.set(`f:${family}`, value);
    }
  }

  /** Whether the mark of a family or tag is above an offset: a value of that stamp is old. */
  isMarkedAbove(field: string, offset: number): boolean {
    const mark = this.marks.get(field);
    return mark !== undefined && mark.offset > offset;
  }

  loseRecord(): void {
    this.owner = undefined;
    this.position = undefined;
    this.buckets.clear();
  }

  loseState(): void {
    this.epoch = undefined;
    this.marks.clear();
    this.rules.clear();
  }

  clone(): MemoryCell {
    const copy = new MemoryCell();
    copy.owner = this.owner;
    copy.position = this.position;
    copy.buckets = new Map(this.buckets);
    copy.epoch = this.epoch;
    copy.marks = new Map(this.marks);
    copy.rules = new Map(this.rules);
    copy.sweeps = new Map(this.sweeps);
    copy.refreshes = new Map(this.refreshes);
    return copy;
  }

  #countUp(): void {
    if (this.owner !== undefined) this.owner = { token: this.owner.token, count: this.owner.count + 1 };
  }

  #tell({ families, offset, lsn }: NewRules): void {
    const change = (family: string, isNew: boolean): void => {
      this.#raise(`f:${family}`, { offset, lsn });
      if (!isNew) this.sweeps.set(`f:${family}`, String(offset));
    };
    for (const [family, text] of families) {
      const known = this.rules.get(family);
      if (known === text) continue;
      this.rules.set(family, text);
      change(family, known === undefined);
    }
    for (const family of [...this.rules.keys()].filter((name) => !families.has(name))) {
      this.rules.delete(family);
      change(family, false);
    }
  }

  #raise(field: string, { offset, lsn }: Mark): void {
    const old = this.marks.get(field);
    this.marks.set(
      field,
      old === undefined ? { offset, lsn } : { offset: Math.max(old.offset, offset), lsn: lsnMax(old.lsn, lsn) },
    );
  }
}

function isLess(a: SettledMark, b: SettledMark): boolean {
  return a.timeline === b.timeline ? a.lsn < b.lsn : a.timeline < b.timeline;
}

function larger(a: SettledMark, b: SettledMark): SettledMark {
  return isLess(a, b) ? b : a;
}

/** Below it every commit is settled everywhere. A mark of another timeline settles nothing. */
function settledEverywhere(primary: SettledMark, replica: SettledMark | undefined): Lsn {
  if (replica === undefined) return primary.lsn;
  if (replica.timeline !== primary.timeline) return LSN_ZERO;
  return replica.lsn < primary.lsn ? replica.lsn : primary.lsn;
}
