import type { BusConfig } from '../config/bus-config.ts';
import { type Act, FENCE_BUCKETS, type Invalidation, TAG_MARKS } from '../protocol/invalidation.ts';
import { bucketOf, hashKey } from '../protocol/key-hash.ts';
import { STATE_FIELD } from '../protocol/keyspace.ts';
import type { LogRecord, Offset, TransactionItems } from '../protocol/log-record.ts';
import { type Lsn, lsnBefore, lsnMax } from '../protocol/lsn.ts';
import { NOTHING_SETTLED, type SettledMark } from '../protocol/settled-mark.ts';
import { advance, type Position } from './plan.ts';
import type { ApplyBatch, ExpiredKey, NewMark, NewRules, RefreshedKey } from './region-store.ts';

/** Keys in one script, at most: some milliseconds of Redis, in which nobody else is served. */
export const BATCH_KEYS_MAX = 1000;

const ENTRY_BYTES = 12;

export interface BatchFacts {
  readonly config: BusConfig;
  readonly cells: number;
  readonly hasReplicas: boolean;
}

type KeyInvalidation = Extract<Invalidation, { scope: 'key' }>;

interface InvalidatedKey {
  readonly family: string;
  readonly act: Act;
  /** The highest. */
  readonly commitLsn: Lsn;
}

/** Gathers records that follow each other into what one script does to a cell. */
export class BatchPlan {
  readonly #facts: BatchFacts;
  readonly #after: Position;
  #position: Position;
  readonly #keys = new Map<string, InvalidatedKey>();
  readonly #marks = new Map<string, NewMark>();
  readonly #sweeps = new Map<string, string>();
  readonly #rules: NewRules[] = [];
  #settled: SettledMark = NOTHING_SETTLED;
  #asOfMs = 0;
  #records = 0;
  readonly #transactions: TransactionItems[] = [];

  constructor(facts: BatchFacts, after: Position) {
    this.#facts = facts;
    this.#after = after;
    this.#position = after;
  }

  get position(): Position {
    return this.#position;
  }

  get records(): number {
    return this.#records;
  }

  get isFull(): boolean {
    return this.#keys.size >= BATCH_KEYS_MAX;
  }

  get transactions(): readonly TransactionItems[] {
    return this.#transactions;
  }

  /** Whether the script may note a sweep: for what was raised, or for a rule that it finds changed. */
  get maySweep(): boolean {
    return this.#sweeps.size > 0 || this.#rules.length > 0;
  }

  /** Adds the record at `offset`, which `judge` let apply. */
  add(offset: Offset, record: LogRecord, interval: boolean): void {
    this.#position = advance(this.#position, offset, record, interval);
    this.#records += 1;
    for (const transaction of record.transactions) this.#addItems(offset, transaction);
    if (!interval) return;
    this.#settled = { timeline: record.sourceEpoch.timeline, lsn: record.settledPrimary };
    this.#asOfMs = Math.max(this.#asOfMs, record.asOfMs);
    if (record.rules !== undefined)
      this.#addRules({
        families: new Map(Object.entries(record.rules.families)),
        offset,
        lsn: lsnBefore(record.to),
      });
  }

  batch(): ApplyBatch {
    return {
      after: this.#after.offset,
      ...this.#position,
      asOfMs: this.#asOfMs,
      settledPrimary: this.#settled,
      ...this.#acted(),
      fences: this.#fences(),
      marks: [...this.#marks.values()],
      sweeps: this.#sweeps,
      rules: this.#rules,
      hasReplicas: this.#facts.hasReplicas,
    };
  }

  /** What has changed and changed back still leaves its mark: meanwhile nobody made invalidations by the rule. */
  #addRules(rules: NewRules): void {
    const last = this.#rules.at(-1);
    if (last !== undefined && isSame(last.families, rules.families)) this.#rules.pop();
    this.#rules.push(rules);
  }

  #addItems(offset: Offset, transaction: TransactionItems): void {
    const { commitLsn } = transaction;
    this.#transactions.push(transaction);
    for (const item of transaction.items) {
      if (item.scope === 'key') this.#invalidate(item, commitLsn);
      else if (item.scope === 'family') this.#raise(`${STATE_FIELD.familyMarkPrefix}${item.family}`, offset, commitLsn);
      else this.#raise(`${STATE_FIELD.tagMarkPrefix}${hashKey(item.tag) % TAG_MARKS}`, offset, commitLsn);
    }
  }

  /** Where two acts meet on a key, it is evicted. */
  #invalidate({ key, family, act }: KeyInvalidation, commitLsn: Lsn): void {
    const wished = this.#actFor(family, act);
    const known = this.#keys.get(key);
    this.#keys.set(key, {
      family,
      act: known === undefined || known.act === wished ? wished : 'evict',
      commitLsn: lsnMax(commitLsn, known?.commitLsn ?? commitLsn),
    });
  }

  /** What this agent's file does not know, or has no bound or no loader for, is evicted. */
  #actFor(name: string, act: Act): Act {
    const family = this.#facts.config.families.get(name);
    if (act === 'expire' && (family?.staleMs ?? 0) > 0) return 'expire';
    if (act === 'refresh' && family !== undefined && (family.source !== undefined || family.isLoadedElsewhere))
      return 'refresh';
    return 'evict';
  }

  #acted(): Pick<ApplyBatch, 'keys' | 'plainKeys' | 'expires' | 'refreshes'> {
    const keys: string[] = [];
    const plainKeys: string[] = [];
    const expires: ExpiredKey[] = [];
    const refreshes: RefreshedKey[] = [];
    const { observe, families } = this.#facts.config;
    for (const [key, { family: name, act, commitLsn }] of observe ? [] : this.#keys) {
      const family = families.get(name);
      // A family that this agent's file does not know may be plain: a slot too many is unlinked, never one too few.
      const isPlain = family?.isPlain !== false;
      if (act === 'evict' || family === undefined) {
        keys.push(key);
        if (isPlain) plainKeys.push(key);
      } else if (act === 'expire')
        expires.push({ key, isPlain, family: name, ruleHash: family.ruleHash, staleMs: family.staleMs });
      else refreshes.push({ key, isPlain, family: name, commitLsn });
    }
    return { keys, plainKeys, expires, refreshes };
  }

  /** Each mark owes a sweep of its own name: as there are so many marks and no more, what a cell owes is bounded. */
  #raise(field: string, offset: Offset, lsn: Lsn): void {
    this.#marks.set(field, { field, offset, lsn: lsnMax(lsn, this.#marks.get(field)?.lsn ?? lsn) });
    this.#sweeps.set(field, String(offset));
  }

  #fences(): Map<number, Uint8Array> {
    const { cells } = this.#facts;
    const bucketsPerCell = Math.floor(FENCE_BUCKETS / cells);
    const byBucket = new Map<number, { hash: number; lsn: Lsn }[]>();
    for (const [key, { commitLsn }] of this.#keys) {
      const hash = hashKey(key);
      const bucket = bucketOf(hash, cells, bucketsPerCell);
      const entries = byBucket.get(bucket);
      if (entries === undefined) byBucket.set(bucket, [{ hash, lsn: commitLsn }]);
      else entries.push({ hash, lsn: commitLsn });
    }
    return new Map([...byBucket].map(([bucket, entries]) => [bucket, encodeEntries(entries)]));
  }
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, text]) => b.get(name) === text);
}

/** Commit LSN and key hash, big-endian, so that the order of bytes is the order of LSNs. */
function encodeEntries(entries: readonly { readonly hash: number; readonly lsn: Lsn }[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  entries.forEach(({ hash, lsn }, i) => {
    view.setBigUint64(i * ENTRY_BYTES, lsn);
    view.setUint32(i * ENTRY_BYTES + 8, hash);
  });
  return bytes;
}
