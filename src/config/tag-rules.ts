import type { TagRule } from './bus-config.ts';
import type { FamilyDraft, FamilyNotes } from './families.ts';
import type { RawFile } from './file-schema.ts';
import { readRules, readTemplate, shapeOf } from './rules.ts';

/** Reads the tag rules, and holds them against the families' labels. */
export function readTagRules(
  raw: NonNullable<RawFile['tags']>,
  families: readonly FamilyDraft[],
  { fault, warn }: FamilyNotes,
): TagRule[] {
  const labels = new Set(families.flatMap((family) => family.tags.map(shapeOf)));
  const ruled = new Set<string>();
  const rules = Object.entries(raw).flatMap(([text, { on }]): TagRule[] => {
    const tag = readTemplate(text, ['tags', text], fault);
    if (tag === undefined) return [];
    ruled.add(shapeOf(tag));
    if (!labels.has(shapeOf(tag)))
      warn(['tags', text], `no family carries such a label: "${text}" is expected in the tags of one`);
    return [{ tag, rules: readRules(on, tag, ['tags', text, 'on'], fault) }];
  });
  for (const family of families) {
    family.tags.forEach((tag, i) => {
      if (!ruled.has(shapeOf(tag)))
        warn(
          ['families', family.name, 'tags', i],
          `nothing but messages makes the label "${tag.text}" old: a rule in tags would`,
        );
    });
  }
  return rules;
}
