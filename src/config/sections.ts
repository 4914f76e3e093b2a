import type { z } from 'zod';
import type { Fault } from './fault.ts';
import type { Joined } from './join-files.ts';
import { schemaFaults } from './schema-faults.ts';

export interface Sections<T> {
  /** What the schema accepts: a family, tag, region or other section in which it found a fault is left out. */
  readonly raw: T;
  readonly faults: readonly Fault[];
}

/** Sections whose items are judged one by one. */
const BY_NAME = new Set<PropertyKey>(['families', 'tags', 'regions']);

/** Reads a file by the schema, so that a fault in one part does not hide what is wrong in another. */
export function readSections<T extends object>(schema: z.ZodType<T>, joined: Joined): Sections<T> {
  const result = schema.safeParse(joined.value);
  if (result.success) return { raw: result.data, faults: [] };
  const rest = schema.safeParse(withoutFaults(joined.value, result.error));
  return { raw: rest.success ? rest.data : ({} as T), faults: schemaFaults(result.error, schema, joined) };
}

function withoutFaults(value: Readonly<Record<string, unknown>>, error: z.ZodError): Record<string, unknown> {
  const sound: Record<string, unknown> = { ...value };
  for (const issue of error.issues) {
    const [section, name] = issue.path;
    if (section === undefined) {
      if (issue.code === 'unrecognized_keys') for (const key of issue.keys) delete sound[key];
    } else if (name === undefined || !BY_NAME.has(section)) delete sound[String(section)];
    else {
      const items = { ...(sound[String(section)] as Record<string, unknown> | undefined) };
      delete items[String(name)];
      sound[String(section)] = items;
    }
  }
  return sound;
}
