import type { BufferConfig } from '../config/bus-config.ts';

/**
 * What the texts of an entry are texts of. It stands in each entry: where the file is changed while entries wait, or while a process of the old file still
 * runs, an entry is written as it was acknowledged, and not into the columns that have its place now.
 */
export interface Shape {
  readonly kind: BufferConfig['kind'];
  readonly key: readonly string[];
  readonly columns: readonly string[];
}

export function shapeText({ kind, key, columns }: Shape): string {
  return JSON.stringify([kind, key, columns]);
}

/** Undefined for what is not ours. */
export function readShape(text: string): Shape | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(read)) return undefined;
  const [kind, key, columns] = read as readonly unknown[];
  const isKind = kind === 'counter' || kind === 'buffer';
  return isKind && areTexts(key) && areTexts(columns) && key.length > 0 ? { kind, key, columns } : undefined;
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
