import { keyTypeOfOid, type KeyType } from '../protocol/key-parameter.ts';
import type { KeyTemplate } from '../protocol/key-template.ts';
import { labelsInOrder, printRuleText } from '../protocol/rule-text.ts';
import type { BusConfig, Family, Rule, TableName } from './bus-config.ts';
import type { TableFacts } from './catalog-facts.ts';
import { shapeOf } from './rules.ts';
import { columnFault, columnType, tableFaults } from './table-check.ts';

export interface CatalogFault {
  /** Where in the file the rule stands, such as `families.user.on.users`. */
  readonly path: string;
  readonly message: string;
  /** What would mend it: a statement of SQL, or a command of ours. */
  readonly repair?: string;
}

export interface CatalogVerdict {
  readonly faults: readonly CatalogFault[];
  readonly warnings: readonly CatalogFault[];
  /** The types of each family's key parameters, in order, where its rules tell. */
  readonly parameterTypes: ReadonlyMap<string, readonly KeyType[]>;
  /** What the relay publishes of each family. */
  readonly ruleTexts: ReadonlyMap<string, string>;
}

type Tables = ReadonlyMap<string, TableFacts>;

/** Every table that the rules name, once. */
export function ruleTables(config: BusConfig): Rule['table'][] {
  const rules = [...config.families.values(), ...config.tagRules].flatMap((ruled) => ruled.rules);
  return [...new Map(rules.map(({ table }) => [nameOf(table), table])).values()];
}

/** Holds the file against the database's catalog; `tables` is keyed by `schema.name`, and what is not in it does not exist. */
export function checkCatalog(config: BusConfig, tables: Tables): CatalogVerdict {
  const check = new CatalogCheck(tables);
  const parameterTypes = new Map<string, readonly KeyType[]>();
  for (const family of config.families.values()) {
    const types = check.ruled(`families.${family.name}.on`, family.key, family.rules);
    if (types !== undefined) parameterTypes.set(family.name, types);
  }
  const tagTypes = new Map<string, readonly KeyType[]>();
  for (const { tag, rules } of config.tagRules) {
    const types = check.ruled(`tags.${tag.text}.on`, tag, rules);
    if (types !== undefined) tagTypes.set(shapeOf(tag), types);
  }
  for (const family of config.families.values()) check.labels(family, tagTypes);
  const ruleTexts = new Map(
    [...config.families.values()].map((family) => [
      family.name,
      ruleTextOf(family, parameterTypes.get(family.name) ?? [], tagTypes),
    ]),
  );
  return { faults: check.faults, warnings: check.warnings, parameterTypes, ruleTexts };
}

function ruleTextOf(
  { key, tags, ruleHash }: Family,
  types: readonly KeyType[],
  tagTypes: ReadonlyMap<string, readonly KeyType[]>,
): string {
  const keyTypes = key.parameters.map((_, i) => types[i]);
  const labelTypes = labelsInOrder(tags).map((tag) => tag.parameters.map((_, i) => tagTypes.get(shapeOf(tag))?.[i]));
  return printRuleText({ hash: ruleHash, keyTypes, labelTypes });
}

function nameOf({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}

class CatalogCheck {
  readonly faults: CatalogFault[] = [];
  readonly warnings: CatalogFault[] = [];
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** Checks the rules of one template. Returns the types of its parameters, where its rules tell. */
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
          message: `gives {${parameter}} as ${here}, and another rule gives it as ${first}: one type is expected, or their keys print differently`,
        });
      });
      types ??= found;
    }
    return types;
  }

  /**
   * A label is printed from the loaded value, which is not in the catalog. But a label's column is mostly a column of the table that also
   * makes the entry old: there its type must be the one that the tag's rule prints; and where none of those tables has it, the entry is
   * made of other rows too, which must make it old themselves.
   */
  labels(family: Family, tagTypes: ReadonlyMap<string, readonly KeyType[]>): void {
    const tables = family.rules.flatMap(({ table }) => this.#tables.get(nameOf(table)) ?? []);
    if (tables.length === 0) return;
    family.tags.forEach((tag, i) => {
      const path = `families.${family.name}.tags.${i}`;
      const columns = tag.parameters.map((name) =>
        tables.flatMap((table) => table.columns.find((column) => column.name === name) ?? []),
      );
      const foreign = tag.parameters.filter((_, at) => columns[at]?.length === 0);
      if (foreign.length > 0)
        this.warnings.push({
          path,
          message: `"${tag.text}" labels the entry by rows of a table that \`on\` does not name (none there has ${foreign.join(', ')}): a row that comes to belong to the entry has put no label on it yet. A rule of that table in \`on\` would make it old`,
        });
      tag.parameters.forEach((name, at) => {
        const wanted = tagTypes.get(shapeOf(tag))?.[at];
        const types = (columns[at] ?? []).map((column) => keyTypeOfOid(column.typeOid));
        const other = types.find((type) => type !== undefined && type !== wanted);
        if (wanted === undefined || other === undefined || types.includes(wanted)) return;
        this.warnings.push({
          path,
          message: `{${name}} is ${other} here, and the tag’s rule gives it as ${wanted}: a label that prints differently is never made old`,
        });
      });
    });
  }

  #rule(path: string, { table, columns }: Rule): KeyType[] | undefined {
    const name = nameOf(table);
    const facts = this.#tables.get(name);
    if (facts === undefined) {
      const hint =
        name === name.toLowerCase() ? '' : ' (names are in lower case there, unless they were made in quotes)';
      this.faults.push({ path, message: `the table ${name} does not exist in the database${hint}` });
      return undefined;
    }
    const whole = [...this.#tables.values()].find((other) =>
      (other.descendants ?? []).some((part) => nameOf(part) === name),
    );
    if (whole !== undefined)
      this.faults.push({
        path,
        message: `${name} is a part of ${nameOf(whole)}, which another rule names: ${nameOf(whole)} is expected in both, since a change counts for one of them`,
      });
    const { faults, warnings } = tableFaults(facts, columns);
    this.faults.push(...faults.map((fault) => ({ path, ...fault })));
    this.warnings.push(...warnings.map((fault) => ({ path, ...fault })));
    if (facts.kind !== 'table' && facts.kind !== 'partitioned') return undefined;
    const wrong = columns.flatMap((column) => columnFault(facts, column) ?? []);
    this.faults.push(...wrong.map((message) => ({ path, message })));
    const types = columns.map((column) => columnType(facts, column));
    return types.every((type) => type !== undefined) ? types : undefined;
  }
}
