import { createHash } from 'node:crypto';
import type { KeyTemplate } from '../protocol/key-template.ts';
import type { Family, TagRule } from './bus-config.ts';
import { durationMs, type RawFamily, type RawFile } from './file-schema.ts';
import { listOf, type NoteFault, readRules, readTemplate } from './rules.ts';
import type { Path } from './yaml-file.ts';

const PLACEHOLDER = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

export interface FamilyNotes {
  readonly fault: NoteFault;
  readonly warn: NoteFault;
}

/** Reads the families, each with all of its faults. */
export function readFamilies(
  raw: NonNullable<RawFile['families']>,
  prefix: string,
  notes: FamilyNotes,
): Map<string, Family> {
  const families = new Map<string, Family>();
  for (const [name, rawFamily] of Object.entries(raw)) {
    const family = readFamily(name, rawFamily, prefix, notes);
    if (family === undefined) continue;
    const twin = [...families.values()].find((other) => shapeOf(other.key) === shapeOf(family.key));
    if (twin !== undefined)
      notes.fault(
        ['families', name, 'key'],
        `prints the same keys as family "${twin.name}": each family needs a template of its own shape`,
      );
    families.set(name, family);
  }
  return families;
}

function readFamily(name: string, raw: RawFamily, prefix: string, { fault, warn }: FamilyNotes): Family | undefined {
  const path: Path = ['families', name];
  const ttlMs = durationMs(raw.ttl);
  if (ttlMs < 1) fault([...path, 'ttl'], 'a time to live above 0 is expected');
  if (raw.source !== undefined && raw.load === true)
    fault([...path, 'load'], 'a family has one loader: either source or load, not both');
  const key = readTemplate(raw.key, [...path, 'key'], fault);
  if (key === undefined) return undefined;
  if (prefix === '' && key.text.startsWith('afterwrite:'))
    fault(
      [...path, 'key'],
      'keys that begin with "afterwrite:" are the bus’s own: choose another beginning, or a prefix',
    );
  const rules = readRules(raw.on ?? {}, key, [...path, 'on'], fault);
  if (raw.on === undefined) warn(path, 'has no rule in `on`: only messages, tags and its ttl make its entries old');
  checkSource(raw.source, key, [...path, 'source'], fault);
  const tags = (raw.tags ?? []).flatMap((text, i) => readTemplate(text, [...path, 'tags', i], fault) ?? []);
  if (tags.length > 0 && rules.length === 0)
    warn(
      [...path, 'tags'],
      'a list that is found by its rows’ tags alone misses the row that moves in: give it a rule of its own in `on`',
    );
  const whenChanged = raw['when-changed'] ?? 'evict';
  if (whenChanged !== 'evict')
    warn([...path, 'when-changed'], `"${whenChanged}" evicts in this release: nothing loads the value anew`);
  const family = {
    name,
    key,
    ttlMs,
    rules,
    tags,
    source: raw.source,
    reads: raw.reads ?? ('primary' as const),
    whenChanged,
  };
  return { ...family, ruleHash: ruleHashOf(family, prefix) };
}

function checkSource(source: string | undefined, key: KeyTemplate, path: Path, fault: NoteFault): void {
  for (const [, placeholder] of source?.matchAll(PLACEHOLDER) ?? []) {
    if (placeholder !== undefined && !key.parameters.includes(placeholder))
      fault(path, `{${placeholder}} is no parameter of the key; its parameters: ${listOf(key.parameters)}`);
  }
}

/** Templates with equal literals in equal places print the same keys, whatever their parameters are called. */
function shapeOf(template: KeyTemplate): string {
  return template.literals.join('{}');
}

/** Changes with anything that decides what is cached or what makes it old. */
function ruleHashOf(family: Omit<Family, 'ruleHash'>, prefix: string): string {
  const deciding = {
    prefix,
    key: family.key.text,
    source: family.source ?? null,
    reads: family.reads,
    tags: family.tags.map((tag) => tag.text),
    rules: family.rules
      .map((rule) => [rule.table.schema, rule.table.name, ...rule.columns])
      .toSorted((a, b) => a.join().localeCompare(b.join())),
  };
  return createHash('sha256').update(JSON.stringify(deciding)).digest('hex').slice(0, 16);
}

/** Reads the tag rules, and holds them against the families' labels. */
export function readTagRules(
  raw: NonNullable<RawFile['tags']>,
  families: ReadonlyMap<string, Family>,
  { fault, warn }: FamilyNotes,
): TagRule[] {
  const labels = new Set([...families.values()].flatMap((family) => family.tags.map(shapeOf)));
  const rules = Object.entries(raw).flatMap(([text, { on }]): TagRule[] => {
    const tag = readTemplate(text, ['tags', text], fault);
    if (tag === undefined) return [];
    if (!labels.has(shapeOf(tag))) warn(['tags', text], 'no family carries such a label: list it in a family’s tags');
    return [{ tag, rules: readRules(on, tag, ['tags', text, 'on'], fault) }];
  });
  const ruled = new Set(rules.map((rule) => shapeOf(rule.tag)));
  for (const family of families.values()) {
    family.tags.forEach((tag, i) => {
      if (!ruled.has(shapeOf(tag)))
        warn(
          ['families', family.name, 'tags', i],
          `nothing makes the label "${tag.text}" old but messages: a rule in tags would`,
        );
    });
  }
  return rules;
}
