/** A table of the catalog that feeds a rule, by itself or as a partition of one that does. */
export interface DirectoryEntry {
  readonly oid: number;
  /** `schema.name` of the table itself. */
  readonly name: string;
  /** `schema.name` of the table that the rules name: itself, or the root of its partition tree. */
  readonly ruleTable: string;
  /** Whether it is a partition, or has partitions. */
  readonly isPartitioned: boolean;
}

export type Lookup =
  | { readonly kind: 'named'; readonly ruleTable: string }
  /** Not in the catalog when it was read: a partition attached since, or detached or dropped before. It may be one of these tables'. */
  | { readonly kind: 'maybe'; readonly ruleTables: readonly string[] }
  /** No rule can name it. */
  | { readonly kind: 'unrouted' };

/**
 * Which rules a relation of the stream feeds. Known by OID, which a rename keeps, else by name. What was once known stays known: a
 * partition that has been detached may still have changes in the WAL.
 */
export class RelationDirectory {
  readonly #byOid = new Map<number, string>();
  readonly #byName = new Map<string, string>();
  readonly #partitioned = new Set<string>();

  /** `ruleTables` are the tables that the rules name, as `schema.name`. */
  constructor(ruleTables: Iterable<string>) {
    for (const name of ruleTables) this.#byName.set(name, name);
  }

  /** Adds what the catalog says now. */
  learn(entries: Iterable<DirectoryEntry>): void {
    for (const { oid, name, ruleTable, isPartitioned } of entries) {
      this.#byOid.set(oid, ruleTable);
      this.#byName.set(name, ruleTable);
      if (isPartitioned) this.#partitioned.add(ruleTable);
    }
  }

  lookup(relation: { readonly id: number; readonly schema: string; readonly name: string }): Lookup {
    return this.#answer(this.#byOid.get(relation.id) ?? this.#byName.get(`${relation.schema}.${relation.name}`));
  }

  lookupName(name: string): Lookup {
    return this.#answer(this.#byName.get(name));
  }

  #answer(ruleTable: string | undefined): Lookup {
    if (ruleTable !== undefined) return { kind: 'named', ruleTable };
    return this.#partitioned.size > 0 ? { kind: 'maybe', ruleTables: [...this.#partitioned] } : { kind: 'unrouted' };
  }
}
