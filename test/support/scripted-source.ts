import { type Lsn, lsn } from '../../src/protocol/lsn.ts';
import type { Snapshot } from '../../src/protocol/snapshot.ts';
import type {
  RowImage,
  Source,
  SourceLook,
  SourceStream,
  StreamRelation,
  StreamSink,
} from '../../src/relay/from-postgres.ts';
import type { Directory } from '../../src/relay/relation-directory.ts';

export const USERS_RELATION: StreamRelation = {
  id: 7,
  schema: 'public',
  name: 'users',
  replicaIdentity: 'full',
  columns: [
    { name: 'id', typeOid: 20, partOfIdentity: true },
    { name: 'org_id', typeOid: 20, partOfIdentity: true },
  ],
};

export function rowImage(...values: (string | null)[]): RowImage {
  return { kind: (column) => (values[column] === null ? 'null' : 'text'), text: (column) => values[column] ?? '' };
}

/** A source whose every word is the test's: what it streams, what is visible, and how the stream ends. */
export class ScriptedSource implements Source {
  confirmedLsn: Lsn = lsn(100);
  confirms: Lsn[] = [];
  opens = 0;
  isPaused = false;
  /** Transactions below are visible to snapshots. */
  visibleBelow = 1_000_000n;
  /** What a look at the source says of its clock, and of where its log ends. */
  clockMs = 1000;
  flushedLsn: Lsn = lsn(100);
  slotIsHeld = false;
  crashes = 0;
  /** What `open` waits for before it takes the slot. */
  opening: Promise<unknown> = Promise.resolve();
  stops = 0;
  /** What the next transaction id is said to be. */
  nextXid = 0n;
  catalog: Directory = {
    entries: [
      { oid: 7, name: 'public.users', ruleTable: 'public.users', isPartitioned: false, columns: ['id', 'org_id'] },
    ],
    unrelated: [],
  };
  catalogReads = 0;
  sink: StreamSink | undefined;
  life = { systemId: '7312', timeline: 1, slotIdentity: '9f3a01bc', postmasterStartedAtMs: 1000 };
  #ending = Promise.withResolvers<'clean' | 'closed'>();
  #slotActiveError: () => Error;

  constructor(slotActiveError: () => Error = () => new Error('slot active')) {
    this.#slotActiveError = slotActiveError;
  }

  async open(): Promise<SourceStream> {
    this.opens += 1;
    await this.opening;
    if (this.slotIsHeld) throw this.#slotActiveError();
    this.#ending = Promise.withResolvers();
    this.sink = undefined;
    return {
      life: this.life,
      confirmedLsn: this.confirmedLsn,
      start: (sink) => (this.sink = sink),
      pause: () => (this.isPaused = true),
      resume: () => (this.isPaused = false),
      confirm: (_received, flush) => {
        if (flush !== this.confirms.at(-1)) this.confirms.push(flush);
        this.confirmedLsn = flush;
      },
      requestKeepalive: () => undefined,
      ended: this.#ending.promise,
      stop: async () => {
        this.stops += 1;
        this.#ending.resolve('closed');
      },
    };
  }

  /** Streams a transaction that changes these users, its xid the commit LSN. */
  commit(commitLsn: number, endLsn: number, ...userIds: number[]): void {
    this.sink?.begin(lsn(commitLsn), commitLsn, commitLsn);
    this.sink?.relation(USERS_RELATION);
    for (const id of userIds) this.sink?.insert(USERS_RELATION, rowImage(String(id), null));
    this.sink?.commit(lsn(commitLsn), lsn(endLsn), commitLsn);
  }

  endCleanly(): void {
    this.#ending.resolve('clean');
  }

  fail(error: Error): void {
    this.#ending.reject(error);
  }

  /** What a look fails with, and how many have. */
  lookFails: Error | undefined;
  failedLooks = 0;
  looks = 0;
  snapshots = 0;

  async snapshot(): Promise<Snapshot> {
    this.snapshots += 1;
    return { xmin: this.visibleBelow, xmax: this.visibleBelow, inProgress: new Set() };
  }

  async look(): Promise<SourceLook> {
    this.looks += 1;
    if (this.lookFails !== undefined) {
      this.failedLooks += 1;
      throw this.lookFails;
    }
    return { askedAtMs: this.clockMs, flushedLsn: this.flushedLsn };
  }

  async allocateXid(): Promise<bigint> {
    return this.nextXid;
  }

  readonly marks: number[] = [];

  async markEpoch(number: number): Promise<void> {
    this.marks.push(number);
  }

  async directory(): Promise<Directory> {
    this.catalogReads += 1;
    return this.catalog;
  }

  async close(): Promise<void> {}
}
