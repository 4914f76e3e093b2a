import type { BusConfig, Family, TableName } from '../config/bus-config.ts';
import { shapeOf } from '../config/rules.ts';
import { isBusError } from '../protocol/errors.ts';
import { encodePayload } from './codec.ts';
import type { KeyPrinter } from './key-printer.ts';
import type { KeyParams } from './origin.ts';
import type { Refusal } from './stats.ts';

/** What a work returned, held against its key. */
export type WrittenValue =
  | { readonly kind: 'value'; readonly payload: string; readonly tagMarks: readonly number[] }
  /** `key`: that of another row, where the value tells one. */
  | { readonly kind: 'unfit'; readonly why: Refusal; readonly detail?: string; readonly other?: KeyParams };

/**
 * Why no writer can know a family's values by the row that he has written; undefined where he can.
 *
 * A writer's row is locked until his COMMIT, so nobody has changed it since he read it. Of anything else he may have read what was changed, and
 * evicted, before his lease.
 */
export function whyNoWriterKnows(family: Family, tagRules: BusConfig['tagRules']): string | undefined {
  if (family.isList) return 'they are lists, and one row is none';
  const [rule, ...others] = family.rules;
  if (others.length > 0)
    return `rows of several kinds make them old: of ${family.rules.map(({ table }) => nameOf(table)).join(', ')}`;
  const labels = new Set(family.tags.map(shapeOf));
  for (const { tag, rules } of tagRules) {
    if (!labels.has(shapeOf(tag))) continue;
    const other = rules.find(({ table }) => rule === undefined || nameOf(table) !== nameOf(rule.table));
    if (other !== undefined) return `rows of ${nameOf(other.table)} make them old too, by the label ${tag.text}`;
  }
  return undefined;
}

/** Decides whether what a work returned can be stored under the key of `params`. Throws nothing. */
export function readWritten(family: Family, printer: KeyPrinter, params: KeyParams, value: unknown): WrittenValue {
  // An absence locks nothing: another may insert the row, and have it evicted, between the work and the lease.
  if (value === null) return { kind: 'unfit', why: 'absence' };
  let payload: string | null;
  try {
    payload = encodePayload(value, family);
  } catch (error) {
    return { kind: 'unfit', why: 'value', detail: (error as Error).message };
  }
  if (payload === null || Array.isArray(value))
    return { kind: 'unfit', why: 'value', detail: 'It is a list, and one row is none.' };
  const named = keyIn(family, params, value);
  try {
    if (named !== undefined && printer.keyOf(named) !== printer.keyOf(params))
      return { kind: 'unfit', why: 'value', detail: 'It is the row of another key.', other: named };
  } catch (error) {
    if (!isBusError(error)) throw error;
    return { kind: 'unfit', why: 'value', detail: error.message };
  }
  const tags = printer.tagMarksOf(value);
  if (tags.kind === 'unfit') return { kind: 'unfit', why: 'label', detail: `${tags.label}: column ${tags.column}` };
  return { kind: 'value', payload, tagMarks: tags.marks };
}

/** The key's parameters by the value's own columns, as far as it has them. */
function keyIn({ key, rules }: Family, params: KeyParams, value: unknown): KeyParams | undefined {
  const columns = rules[0]?.columns;
  if (columns === undefined || typeof value !== 'object') return undefined;
  const row = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    key.parameters.map((name, i) => {
      const own = row[columns[i] ?? ''];
      return [name, own === undefined ? params[name] : own];
    }),
  );
}

function nameOf({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}
