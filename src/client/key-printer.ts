import type { Family } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { FENCE_BUCKETS } from '../protocol/invalidation.ts';
import { bucketOf, cellOf, hashKey } from '../protocol/key-hash.ts';
import { KEY_BYTES_MAX, type KeyType, printKeyParameter } from '../protocol/key-parameter.ts';
import { type KeyTemplate, printKey } from '../protocol/key-template.ts';
import { tagMarkOf } from '../protocol/mark.ts';
import type { Entry } from './cache-store.ts';
import type { FamilyRule } from './family-rule.ts';
import type { KeyParams } from './origin.ts';

/** Prints a family's keys and labels as the relay does, by the types that the region publishes. */
export class KeyPrinter {
  readonly #family: Family;
  readonly #rule: FamilyRule;
  readonly #cells: number;
  readonly #bucketsPerCell: number;

  constructor(family: Family, rule: FamilyRule, cells: number) {
    this.#family = family;
    this.#rule = rule;
    this.#cells = cells;
    this.#bucketsPerCell = Math.floor(FENCE_BUCKETS / cells);
  }

  /** Throws `KEY_PARAMETER_INVALID` or `CACHE_KEY_TOO_LONG`. */
  keyOf(params: KeyParams): string {
    const { literals, parameters } = this.#family.key;
    const types = this.#rule.keyTypes;
    let key = literals[0] ?? '';
    for (let i = 0; i < parameters.length; i++) {
      const name = parameters[i] ?? '';
      const value = params[name];
      if (value === undefined || value === null) throw this.#missing(name);
      key += printByType(types[i], value) + (literals[i + 1] ?? '');
    }
    // A character has at most three bytes in UTF-8, a surrogate pair four.
    if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX)
      throw new BusError(
        'CACHE_KEY_TOO_LONG',
        `A key of family ${this.#family.name} has more than ${KEY_BYTES_MAX} bytes.`,
      );
    return key;
  }

  entryOf(key: string): Entry {
    const hash = hashKey(key);
    return {
      family: this.#family.name,
      key,
      cell: cellOf(hash, this.#cells),
      bucket: bucketOf(hash, this.#cells, this.#bucketsPerCell),
      hash,
      isPlain: this.#family.isPlain,
    };
  }

  /** The marks of a value's labels, or what keeps one from being printed. A null column is no label, an absent value has none. */
  tagMarksOf(value: unknown): TagMarks {
    const { tags, isList } = this.#family;
    if (tags.length === 0 || value === null) return NO_TAGS;
    const rows: readonly unknown[] = isList && Array.isArray(value) ? value : [value];
    const marks = new Set<number>();
    for (const row of rows) {
      for (const tag of tags) {
        const printed = this.#label(tag, row);
        if (printed.kind === 'unfit') return printed;
        if (printed.kind === 'label') marks.add(tagMarkOf(printed.label));
      }
    }
    return { kind: 'marks', marks: [...marks] };
  }

  #label(tag: KeyTemplate, row: unknown): PrintedLabel {
    const columns = typeof row === 'object' && row !== null ? (row as Readonly<Record<string, unknown>>) : {};
    const types = this.#rule.labelTypes(tag.text);
    const printed: string[] = [];
    let isNull = false;
    for (const [i, column] of tag.parameters.entries()) {
      const value = columns[column];
      if (value === undefined) return { kind: 'unfit', label: tag.text, column };
      if (value === null) isNull = true;
      else
        try {
          printed.push(printByType(types[i], value));
        } catch {
          return { kind: 'unfit', label: tag.text, column };
        }
    }
    return isNull ? { kind: 'none' } : { kind: 'label', label: printKey(tag, printed) };
  }

  #missing(name: string): BusError {
    const { name: family, key } = this.#family;
    return new BusError(
      'KEY_PARAMETER_INVALID',
      `The key of family ${family} needs {${name}}; its parameters: ${key.parameters.join(', ')}. Null is none: such a row has no key.`,
    );
  }
}

export type TagMarks =
  | { readonly kind: 'marks'; readonly marks: readonly number[] }
  | { readonly kind: 'unfit'; readonly label: string; readonly column: string };

type PrintedLabel =
  | { readonly kind: 'label'; readonly label: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'unfit'; readonly label: string; readonly column: string };

const NO_TAGS: TagMarks = { kind: 'marks', marks: [] };

/** Where no rule tells the type, the value's own does: what no rule prints, no row change evicts. */
function printByType(type: KeyType | undefined, value: unknown): string {
  if (type !== undefined) return printKeyParameter(type, value);
  if (typeof value === 'number' || typeof value === 'bigint') return printKeyParameter('integer', value);
  return printKeyParameter(typeof value === 'boolean' ? 'boolean' : 'text', value);
}
