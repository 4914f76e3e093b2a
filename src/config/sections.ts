import type { z } from 'zod';
import type { Fault } from './fault.ts';
import type { Joined } from './join-files.ts';
import { schemaFaults } from './schema-faults.ts';

export interface Sections<T> {
  /** What the schema accepts. Where it found a fault, the field, the family or the section is left out: nothing may be built of it. */
  readonly raw: T;
  readonly faults: readonly Fault[];
}

type Node = Record<string, unknown>;
type Cut = 'field' | 'item';

/** Sections whose items are judged one by one. */
const BY_NAME = new Set<PropertyKey>(['families', 'tags', 'regions', 'buffers']);

/** Stands for a time to live that is wrong, so that the rest of its family is read. */
const TTL_STAND_IN = '1s';

/** Reads a file by the schema, so that a fault in one part does not hide what is wrong in another. */
export function readSections<T extends object>(schema: z.ZodType<T>, joined: Joined): Sections<T> {
  const result = schema.safeParse(joined.value);
  if (result.success) return { raw: result.data, faults: [] };
  let sound: Node = structuredClone(joined.value);
  let error: z.ZodError = result.error;
  for (const cut of ['field', 'item'] as const) {
    sound = withoutFaults(sound, error, cut);
    const rest = schema.safeParse(sound);
    if (rest.success) return { raw: rest.data, faults: schemaFaults(result.error, schema, joined) };
    error = rest.error;
  }
  return { raw: {} as T, faults: schemaFaults(result.error, schema, joined) };
}

function withoutFaults(value: Node, error: z.ZodError, cut: Cut): Node {
  const sound = structuredClone(value);
  for (const issue of error.issues) {
    const [section, name, field] = issue.path;
    const items = section === undefined ? undefined : (sound[String(section)] as Node | undefined);
    const item = items === undefined || name === undefined ? undefined : (items[String(name)] as Node | undefined);
    if (section === undefined) drop(sound, issue);
    else if (items === undefined) continue;
    else if (name === undefined || !BY_NAME.has(section)) delete sound[String(section)];
    else if (cut === 'item' || typeof item !== 'object' || item === null) delete items[String(name)];
    else if (field === undefined) drop(item, issue);
    else if (section === 'families' && field === 'ttl') item['ttl'] = TTL_STAND_IN;
    else delete item[String(field)];
  }
  return sound;
}

function drop(from: Node, issue: z.core.$ZodIssue): void {
  if (issue.code === 'unrecognized_keys') for (const key of issue.keys) delete from[key];
}
