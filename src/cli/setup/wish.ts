import type { CatalogTable, TableName } from '../../drivers/postgres/catalog.ts';
import type { Publication } from '../../drivers/postgres/publication.ts';
import type { Slot } from '../../drivers/postgres/slot.ts';

/** A table that rules name, with every column that a key or tag is printed from. */
export interface WishedTable extends TableName {
  readonly keyColumns: readonly string[];
}

/** What the user's file asks of the source database. */
export interface SetupWish {
  readonly bus: string;
  readonly publication: string;
  /** The slot is `<slotPrefix>_<8 hex digits>`. */
  readonly slotPrefix: string;
  readonly tables: readonly WishedTable[];
  /** Whether DDL on the tables shall be reported to the bus. Takes a superuser. */
  readonly eventTrigger: boolean;
  /** Whether anything is written behind. */
  readonly hasBuffers: boolean;
  /** Whether a table whose replica identity lacks key columns gets REPLICA IDENTITY FULL. Else its changes invalidate whole families. */
  readonly repairIdentity: boolean;
}

/** What the source database is like now. */
export interface SetupFacts {
  /** `server_version_num`, such as 180001. */
  readonly serverVersion: number;
  readonly walLevel: string;
  readonly isStandby: boolean;
  /** By `schema.name`. */
  readonly tables: ReadonlyMap<string, CatalogTable>;
  readonly publication: Publication | null;
  readonly slots: readonly Slot[];
  /** The body of the event triggers' function, or null if there is none or a trigger is missing. */
  readonly ddlReportBody: string | null;
  /** Whether anything of the event triggers is there. */
  readonly hasDdlReport: boolean;
  /** Whether the tables of buffers are there. */
  readonly hasBufferTables: boolean;
}

/** Statements that are run together, in order. Where a transaction is needed they say so themselves. */
export interface SetupStep {
  readonly title: string;
  readonly why: string;
  readonly sql: readonly string[];
}

/** Something that is not done, why, and the commands of which one would make it possible. */
export interface Refusal {
  readonly subject: string;
  readonly why: string;
  readonly repair: readonly string[];
}

export interface SetupPlan {
  readonly steps: readonly SetupStep[];
  readonly refusals: readonly Refusal[];
  /** What works, but not as well as it could. */
  readonly notes: readonly string[];
}
