import { keyTypeOfOid, type KeyType } from '../protocol/key-parameter.ts';
import type { KeyTemplate } from '../protocol/key-template.ts';
import type { BusConfig, Rule } from './bus-config.ts';

/** What the check needs to know of a table. */
export interface TableFacts {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'partitioned' | 'view' | 'foreign' | 'other';
  readonly isUnlogged: boolean;
  readonly columns: readonly {
    readonly name: string;
    readonly typeOid: number;
    readonly baseType: string;
    readonly isDeterministic: boolean;
  }[];
  /** The table itself or its leaves, each with the columns of its replica identity, null for none. */
  readonly stored: readonly {
    readonly schema: string;
    readonly name: string;
    readonly identity: { readonly columns: readonly string[] | null };
  }[];
}

export interface CatalogFault {
  /** Where in the file the rule stands, such as `families.user.on.users`. */
  readonly path: string;
  readonly message: string;
  /** SQL that would mend it. */
  readonly repair?: string;
}

export interface CatalogVerdict {
  readonly faults: readonly CatalogFault[];
  readonly warnings: readonly CatalogFault[];
  /** The types of each family's key parameters, in order, where its rules tell. */
  readonly parameterTypes: ReadonlyMap<string, readonly KeyType[]>;
}

/** Every table that the rules name, once. */
export function ruleTables(config: BusConfig): Rule['table'][] {
  const rules = [...config.families.values(), ...config.tagRules].flatMap((ruled) => ruled.rules);
  return [...new Map(rules.map(({ table }) => [`${table.schema}.${table.name}`, table])).values()];
}

/** Holds the file against the database's catalog; `tables` is keyed by `schema.name`. */
export function checkCatalog(config: BusConfig, tables: ReadonlyMap<string, TableFacts>): CatalogVerdict {
  const check = new CatalogCheck(tables);
  const parameterTypes = new Map<string, readonly KeyType[]>();
  for (const family of config.families.values()) {
    const types = check.ruled(`families.${family.name}.on`, family.key, family.rules);
    if (types !== undefined) parameterTypes.set(family.name, types);
  }
  for (const { tag, rules } of config.tagRules) check.ruled(`tags.${tag.text}.on`, tag, rules);
  return { faults: check.faults, warnings: check.warnings, parameterTypes };
}

class CatalogCheck {
  readonly faults: CatalogFault[] = [];
  readonly warnings: CatalogFault[] = [];
  readonly #tables: ReadonlyMap<string, TableFacts>;

  constructor(tables: ReadonlyMap<string, TableFacts>) {
    this.#tables = tables;
  }

  /** Checks the rules of one template. Returns the types of its parameters, if every rule gives the same. */
  ruled(path: string, template: KeyTemplate, rules: readonly Rule[]): KeyType[] | undefined {
    let types: KeyType[] | undefined;
    for (const rule of rules) {
      const at = `${path}.${rule.table.schema === 'public' ? '' : `${rule.table.schema}.`}${rule.table.name}`;
      const found = this.#rule(at, rule);
      if (found === undefined) continue;
      template.parameters.forEach((parameter, i) => {
        const [first, here] = [types?.[i], found[i]];
        if (first === undefined || here === undefined || first === here) return;
        this.faults.push({
          path: at,
          message: `gives {${parameter}} as ${here}, and another rule gives it as ${first}: their keys would print differently`,
        });
      });
      types ??= found;
    }
    return types;
  }

  #rule(path: string, { table, columns }: Rule): KeyType[] | undefined {
    const name = `${table.schema}.${table.name}`;
    const facts = this.#tables.get(name);
    if (facts === undefined) {
      this.faults.push({ path, message: `the table ${name} does not exist in the database` });
      return undefined;
    }
    if (facts.kind !== 'table' && facts.kind !== 'partitioned') {
      this.faults.push({
        path,
        message: `${name} is a ${facts.kind === 'foreign' ? 'foreign table' : facts.kind}: a table is expected, whose changes are in this server’s log`,
      });
      return undefined;
    }
    if (facts.isUnlogged)
      this.faults.push({
        path,
        message: `${name} is unlogged: its changes are in no log`,
        repair: `ALTER TABLE ${name} SET LOGGED`,
      });
    this.#identity(path, facts, columns);
    const types = columns.map((column) => this.#column(path, facts, column));
    return types.every((type) => type !== undefined) ? types : undefined;
  }

  #column(path: string, facts: TableFacts, name: string): KeyType | undefined {
    const column = facts.columns.find((one) => one.name === name);
    if (column === undefined) {
      const known = facts.columns.map((one) => one.name).join(', ');
      this.faults.push({ path, message: `${facts.schema}.${facts.name} has no column "${name}"; it has ${known}` });
      return undefined;
    }
    const type = keyTypeOfOid(column.typeOid);
    if (type === undefined) {
      this.faults.push({
        path,
        message: `column "${name}" is of type ${column.baseType}, which has no canonical text: text, varchar, smallint, integer, bigint, uuid, boolean or date is expected`,
      });
    } else if (!column.isDeterministic) {
      this.faults.push({
        path,
        message: `column "${name}" has a nondeterministic collation: texts that it takes for equal would print as different keys`,
      });
    }
    return type;
  }

  #identity(path: string, facts: TableFacts, columns: readonly string[]): void {
    for (const stored of facts.stored) {
      const name = `${stored.schema}.${stored.name}`;
      const repair = `ALTER TABLE ${name} REPLICA IDENTITY FULL`;
      const identity = stored.identity.columns;
      if (identity === null) {
        this.faults.push({
          path,
          message: `${name} has no replica identity: published, its UPDATE and DELETE would fail. Give it a primary key, or all columns as identity`,
          repair,
        });
        continue;
      }
      const missing = columns.filter((column) => !identity.includes(column));
      if (missing.length > 0) {
        this.warnings.push({
          path,
          message: `the replica identity of ${name} lacks ${missing.join(', ')}: each UPDATE and DELETE makes the whole family old. \`afterwrite setup\` repairs it`,
          repair,
        });
      }
    }
  }
}
