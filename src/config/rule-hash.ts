import { createHash } from 'node:crypto';
import type { Family, Rule, TagRule } from './bus-config.ts';
import { shapeOf } from './rules.ts';

/**
 * Changes with anything that decides what a family caches or what makes it old, the rules of its labels among that: 16 hex digits. Every
 * program that reads the same file must come to the same, so lists whose order means nothing are put into one, by code units and not by a
 * language's alphabet.
 */
export function ruleHashOf(
  family: Omit<Family, 'ruleHash'>,
  tagRules: readonly TagRule[],
  bus: { readonly prefix: string; readonly cells: number },
): string {
  const labels = new Set(family.tags.map(shapeOf));
  const deciding = {
    prefix: bus.prefix,
    cells: bus.cells,
    key: family.key.text,
    source: family.source ?? null,
    reads: family.reads,
    isList: family.isList,
    isPlain: family.isPlain,
    // The agent ends a value's time by its own file's bound, and a reader tells a stale value by his.
    ...(family.whenChanged === 'expire' && family.staleMs > 0 ? { expiresForMs: family.staleMs } : {}),
    tags: inOrder(family.tags.map((tag) => tag.text)),
    rules: inOrder(family.rules.map(textOf)),
    tagRules: inOrder(
      tagRules
        .filter(({ tag }) => labels.has(shapeOf(tag)))
        .flatMap(({ tag, rules }) => rules.map((rule) => `${shapeOf(tag)} ${textOf(rule)}`)),
    ),
  };
  return createHash('sha256').update(JSON.stringify(deciding)).digest('hex').slice(0, 16);
}

function textOf({ table, columns }: Rule): string {
  return JSON.stringify([table.schema, table.name, ...columns]);
}

function inOrder(texts: readonly string[]): string[] {
  return [...new Set(texts)].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
