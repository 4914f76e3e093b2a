import { z } from 'zod';
import type { Fault } from './fault.ts';
import type { Joined } from './join-files.ts';
import type { Path } from './yaml-file.ts';

/** The schema's complaints as faults of the file, each at its line, unknown keys with the known one they may have meant. */
export function schemaFaults(error: z.ZodError, schema: z.ZodType, joined: Joined): Fault[] {
  return error.issues.flatMap((issue): Fault[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    const fault = (at: Path, message: string): Fault => ({ ...joined.placeOf(at), path: at.join('.'), message });
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(schema, path);
      return issue.keys.map((key) =>
        fault([...path, key], `"${key}" is not known here${nearest(key, known)}; known: ${known.join(', ')}`),
      );
    }
    if (issue.code === 'invalid_key') return [fault(path, issue.issues[0]?.message ?? issue.message)];
    return [fault(path, issue.message)];
  });
}

/** The keys that the schema knows at a path. */
function knownKeys(schema: z.ZodType, path: Path): string[] {
  const json = z.toJSONSchema(schema, { io: 'input' });
  let node: unknown = json;
  for (const part of path) {
    const { properties, additionalProperties, items } = (node ?? {}) as {
      properties?: Record<string, unknown>;
      additionalProperties?: unknown;
      items?: unknown;
    };
    node = properties?.[part] ?? (typeof part === 'number' ? items : additionalProperties);
  }
  const { anyOf = [], properties } = (node ?? {}) as { anyOf?: { properties?: object }[]; properties?: object };
  return Object.keys(properties ?? anyOf.find((one) => one.properties !== undefined)?.properties ?? {});
}

function nearest(key: string, known: readonly string[]): string {
  const ranked = known
    .map((word) => ({ word, distance: distanceOf(key.toLowerCase(), word.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.word.length / 3))
    ? `: was "${best.word}" meant?`
    : '';
}

/** Levenshtein's distance, by the two-row method (Wagner and Fischer, 1974). */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
