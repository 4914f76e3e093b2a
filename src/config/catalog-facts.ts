import type { TableName } from './bus-config.ts';

/** What the check needs to know of a table that a rule names. The driver's reading of the catalog has all of it, and more. */
export interface TableFacts extends TableName {
  readonly kind: TableKind;
  readonly isUnlogged: boolean;
  readonly columns: readonly ColumnFacts[];
  /** The table itself or its leaves. */
  readonly stored: readonly StoredFacts[];
  /** Every other table of its tree: partitions, and what inherits from it. */
  readonly descendants?: readonly TableName[];
}

export type TableKind = 'table' | 'partitioned' | 'view' | 'foreign' | 'other';

export interface ColumnFacts {
  readonly name: string;
  /** The type as the table has it, possibly a domain: it is what the stream says too. */
  readonly typeOid: number;
  /** The name of the type, of a domain's base type where it is one. */
  readonly baseType: string;
  /** False for a collation under which different texts can be equal. */
  readonly isDeterministic: boolean;
  /** Computed from others. */
  readonly isGenerated?: boolean;
}

/** A table that stores rows: the named one, a partition, or one that inherits from it. */
export interface StoredFacts extends TableName {
  readonly kind?: 'table' | 'foreign' | 'other';
  readonly isUnlogged?: boolean;
  /** The columns of its replica identity; null for none. */
  readonly identity: { readonly columns: readonly string[] | null };
}
