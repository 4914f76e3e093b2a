import type { BusConfig, Family, TagRule } from '../config/bus-config.ts';
import type { Invalidation } from '../protocol/invalidation.ts';
import { KEY_BYTES_MAX, keyTypeOfOid } from '../protocol/key-parameter.ts';
import type { OldImage, RowImage, StreamRelation } from './from-postgres.ts';
import { type ColumnReader, type Printed, type Target, type WidenReason, printTarget } from './route-row.ts';

/** What the router tells: an invalidation, and why a change became larger than a key. */
export interface RouteSink {
  invalidate(item: Invalidation): void;
  widened(reason: WidenReason, table: string, family: string): void;
}

/** The targets of one relation of the stream, compiled once from its columns; the hot path only reads indexes. */
interface RelationPlan {
  readonly table: string;
  readonly targets: readonly Target[];
}

/**
 * Turns row changes into invalidations by the rules of the file.
 *
 *     insert   the new row's keys
 *     update   the old row's keys and the new row's: a row that moves between lists makes both old
 *     delete   the old row's keys
 *     truncate every family that the table feeds
 *
 * A null parameter is no key. A parameter that cannot be known (the replica identity is too small, the value is TOASTed and
 * unchanged, the column is missing or of another type, the key is too long) widens to the family, a tag to the families that carry labels.
 */
export class Router {
  readonly #config: BusConfig;
  readonly #sink: RouteSink;
  readonly #labelled: readonly Family[];
  readonly #plans = new Map<number, RelationPlan>();

  constructor(config: BusConfig, sink: RouteSink) {
    this.#config = config;
    this.#sink = sink;
    this.#labelled = [...config.families.values()].filter((family) => family.tags.length > 0);
  }

  /** Notes a relation, new or altered. `ruleTable` is the table that the rules name for it. */
  define(relation: StreamRelation, ruleTable: string): void {
    this.#plans.set(relation.id, { table: ruleTable, targets: compile(this.#config, relation, ruleTable) });
  }

  insert(relation: StreamRelation, row: RowImage): void {
    const plan = this.#planOf(relation);
    for (const target of plan.targets)
      this.#emit(
        plan,
        target,
        printTarget(target, (column) => readNew(row, column)),
      );
  }

  update(relation: StreamRelation, old: RowImage | null, oldImage: OldImage, row: RowImage): void {
    const plan = this.#planOf(relation);
    // A value that is TOASTed and unchanged stands in a full old row.
    const readNewRow: ColumnReader = (column) => {
      const value = readNew(row, column);
      return value === undefined && old !== null && oldImage === 'full' ? readNew(old, column) : value;
    };
    for (const target of plan.targets) {
      const now = printTarget(target, readNewRow);
      const before = printTarget(target, (column, partOfIdentity) => {
        if (old === null) return partOfIdentity ? readNewRow(column, partOfIdentity) : undefined;
        return readOld(old, oldImage, column, partOfIdentity);
      });
      this.#emit(plan, target, before);
      if (!(now.kind === 'printed' && before.kind === 'printed' && now.text === before.text))
        this.#emit(plan, target, now);
    }
  }

  delete(relation: StreamRelation, old: RowImage, oldImage: OldImage): void {
    const plan = this.#planOf(relation);
    for (const target of plan.targets) {
      this.#emit(
        plan,
        target,
        printTarget(target, (column, partOfIdentity) => readOld(old, oldImage, column, partOfIdentity)),
      );
    }
  }

  /** Everything that a rule's table feeds is old: it was truncated, or its definition changed. */
  wholeTable(ruleTable: string): void {
    for (const target of targetsOf(this.#config, ruleTable)) {
      if (target.kind === 'family') this.#family(target.family);
      else this.#allLabelled();
    }
  }

  /** Everything the bus knows is old. */
  everything(): void {
    for (const family of this.#config.families.values()) this.#family(family);
  }

  #planOf(relation: StreamRelation): RelationPlan {
    const plan = this.#plans.get(relation.id);
    if (plan === undefined)
      throw new Error(`Relation ${relation.schema}.${relation.name} was routed before it was defined.`);
    return plan;
  }

  #emit(plan: RelationPlan, target: Target, printed: Printed): void {
    switch (printed.kind) {
      case 'none':
        return;
      case 'printed':
        if (target.kind === 'tag') return this.#sink.invalidate({ scope: 'tag', tag: printed.text });
        return this.#sink.invalidate({
          scope: 'key',
          family: target.family.name,
          act: target.family.whenChanged,
          key: printed.text,
        });
      case 'unknown':
        if (target.kind === 'tag') {
          this.#sink.widened(printed.reason, plan.table, target.rule.tag.text);
          return this.#allLabelled();
        }
        this.#sink.widened(printed.reason, plan.table, target.family.name);
        return this.#family(target.family);
    }
  }

  #family(family: Family): void {
    this.#sink.invalidate({ scope: 'family', family: family.name, act: family.whenChanged });
  }

  /** A tag that cannot be printed may be any: every entry that carries labels is old. */
  #allLabelled(): void {
    for (const family of this.#labelled) this.#family(family);
  }
}

function readNew(row: RowImage, column: number): string | null | undefined {
  const kind = row.kind(column);
  if (kind === 'text') return row.text(column);
  return kind === 'null' ? null : undefined;
}

/** In a key image every column outside the identity is printed as null: unknown, not null. */
function readOld(
  old: RowImage,
  oldImage: OldImage,
  column: number,
  partOfIdentity: boolean,
): string | null | undefined {
  return oldImage === 'full' || partOfIdentity ? readNew(old, column) : undefined;
}

type RuleTarget =
  | { readonly kind: 'family'; readonly family: Family; readonly columns: readonly string[] }
  | { readonly kind: 'tag'; readonly rule: TagRule; readonly columns: readonly string[] };

function* targetsOf(config: BusConfig, ruleTable: string): Generator<RuleTarget> {
  for (const family of config.families.values()) {
    for (const rule of family.rules) {
      if (tableText(rule.table) === ruleTable) yield { kind: 'family', family, columns: rule.columns };
    }
  }
  for (const tagRule of config.tagRules) {
    for (const rule of tagRule.rules) {
      if (tableText(rule.table) === ruleTable) yield { kind: 'tag', rule: tagRule, columns: rule.columns };
    }
  }
}

function compile(config: BusConfig, relation: StreamRelation, ruleTable: string): Target[] {
  return [...targetsOf(config, ruleTable)].map((target) => {
    const columns = target.columns.map((name) => {
      const index = relation.columns.findIndex((column) => column.name === name);
      const column = relation.columns[index];
      if (column === undefined) return undefined;
      const type = keyTypeOfOid(column.typeOid);
      const isIdentity = column.partOfIdentity || relation.replicaIdentity === 'full';
      return type === undefined ? undefined : { index, type, partOfIdentity: isIdentity };
    });
    const template = target.kind === 'family' ? target.family.key : target.rule.tag;
    const known = columns.every((column) => column !== undefined) ? columns : undefined;
    return { ...target, template, parameters: known, bytesMax: KEY_BYTES_MAX };
  });
}

/** A table's name as the rules are compared by. */
export function tableText(table: { readonly schema: string; readonly name: string }): string {
  return `${table.schema}.${table.name}`;
}
