/** A table of the catalog that feeds a rule, by itself or as a partition of one that does. */
export interface DirectoryEntry {
  readonly oid: number;
  /** `schema.name` of the table itself. */
  readonly name: string;
  /** `schema.name` of the table that the rules name: itself, or the root of its partition tree. */
  readonly ruleTable: string;
  /** Whether it is a partition, or has partitions. */
  readonly isPartitioned: boolean;
  /** The columns of `ruleTable` that the stream carries. Every partition and child of it has them too. */
  readonly columns: readonly string[];
}

export interface Directory {
  readonly entries: readonly DirectoryEntry[];
  /** OIDs of tables that are published whole and feed no rule. */
  readonly unrelated: readonly number[];
}

/** A relation as it is looked up. */
interface Described {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string }[];
}

export type Lookup =
  | { readonly kind: 'named'; readonly ruleTable: string }
  /** The catalog was read before it was described: since then it may have become a partition or a child of one of these tables. */
  | { readonly kind: 'maybe'; readonly ruleTables: readonly string[] }
  /** No rule can name it. */
  | { readonly kind: 'unrouted' };

/**
 * Which rules a relation of the stream feeds. Known by OID, which a rename keeps, else by name. What was once known stays known: a
 * partition that has been detached may still have changes in the WAL.
 *
 *     known                                          named
 *     not known, the catalog is newer                unrouted
 *     not known, the catalog is older                maybe: of each table all of whose rules' columns it has
 *     known to feed none, the catalog is older       maybe: of each table all of whose columns it has
 *
 * What lacks a column of a table can be no part of it, whatever was attached since. Of a table with a column list the stream may leave out
 * some, but not those of the rules. The last line is for FOR ALL TABLES, where most tables feed no rule.
 */
export class RelationDirectory {
  readonly #byOid = new Map<number, string>();
  readonly #byName = new Map<string, string>();
  readonly #partitioned = new Set<string>();
  readonly #unrelated = new Set<number>();
  readonly #columns = new Map<string, readonly string[]>();
  readonly #ruleColumns = new Map<string, Set<string>>();

  /** `rules` are the tables that the rules name, as `schema.name`, and the columns of each rule. */
  constructor(rules: Iterable<readonly [table: string, columns: readonly string[]]>) {
    for (const [table, columns] of rules) {
      this.#byName.set(table, table);
      this.#ruleColumns.set(table, new Set([...(this.#ruleColumns.get(table) ?? []), ...columns]));
    }
  }

  /** Adds what the catalog says now. */
  learn({ entries, unrelated }: Directory): void {
    for (const { oid, name, ruleTable, isPartitioned, columns } of entries) {
      this.#byOid.set(oid, ruleTable);
      this.#byName.set(name, ruleTable);
      this.#columns.set(ruleTable, columns);
      if (isPartitioned) this.#partitioned.add(ruleTable);
    }
    for (const oid of unrelated) this.#unrelated.add(oid);
  }

  /** `isOlder` says whether the catalog was read without the transaction that the relation was described in. */
  lookup(relation: Described, isOlder: boolean): Lookup {
    const ruleTable = this.#byOid.get(relation.id) ?? this.#byName.get(`${relation.schema}.${relation.name}`);
    if (ruleTable !== undefined) return { kind: 'named', ruleTable };
    return isOlder ? oneOf(this.#alike(relation)) : UNROUTED;
  }

  /** A name alone, such as a dropped table's, may be that of a partition. */
  lookupName(name: string): Lookup {
    const ruleTable = this.#byName.get(name);
    return ruleTable === undefined ? oneOf([...this.#partitioned]) : { kind: 'named', ruleTable };
  }

  #alike(relation: Described): string[] {
    const has = new Set(relation.columns.map(({ name }) => name));
    const isWhole = this.#unrelated.has(relation.id);
    return [...this.#ruleColumns].flatMap(([table, ofRules]) => {
      const needed = (isWhole ? this.#columns.get(table) : undefined) ?? [...ofRules];
      return needed.every((column) => has.has(column)) ? table : [];
    });
  }
}

const UNROUTED: Lookup = { kind: 'unrouted' };

function oneOf(ruleTables: readonly string[]): Lookup {
  return ruleTables.length === 0 ? UNROUTED : { kind: 'maybe', ruleTables };
}
