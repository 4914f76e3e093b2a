import type { KeyType } from './key-parameter.ts';
import type { KeyTemplate } from './key-template.ts';

/**
 * What the relay publishes of a family: its rule hash, the types of its key's parameters, and those of each label's, as the catalog has them. A
 * client stores only while its own file gives the same hash, and prints keys and labels by these types, since it cannot look into the catalog.
 *
 *     5f0c1d2e3a4b5c6d integer,uuid integer        a key of two parameters, one label of one
 *
 * `?` stands for a type that no rule tells, `-` for no parameters.
 */
export interface RuleText {
  readonly hash: string;
  readonly keyTypes: readonly (KeyType | undefined)[];
  /** In the order of `labelsInOrder`. */
  readonly labelTypes: readonly (readonly (KeyType | undefined)[])[];
}

/** The order in which two files that list the same labels differently still mean the same. The rule hash does not tell them apart either. */
export function labelsInOrder(labels: readonly KeyTemplate[]): readonly KeyTemplate[] {
  return labels.toSorted((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
}

const KEY_TYPES: ReadonlySet<string> = new Set<KeyType>(['text', 'integer', 'uuid', 'boolean', 'date']);

export function printRuleText({ hash, keyTypes, labelTypes }: RuleText): string {
  return [hash, ...[keyTypes, ...labelTypes].map(printTypes)].join(' ');
}

/** Reads a rule text. A type that is not known, of a later release, counts as untold. */
export function parseRuleText(text: string): RuleText {
  const [hash = '', key = '-', ...labels] = text.split(' ');
  return { hash, keyTypes: parseTypes(key), labelTypes: labels.map(parseTypes) };
}

function printTypes(types: readonly (KeyType | undefined)[]): string {
  return types.length === 0 ? '-' : types.map((type) => type ?? '?').join(',');
}

function parseTypes(text: string): (KeyType | undefined)[] {
  if (text === '-') return [];
  return text.split(',').map((type) => (KEY_TYPES.has(type) ? (type as KeyType) : undefined));
}
