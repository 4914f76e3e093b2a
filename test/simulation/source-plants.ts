import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { SourcePlant } from './plants.ts';

const ROOT = new URL('../../', import.meta.url);

/**
 * Replaces a piece of a source file as it is loaded, on this thread. Throws where the piece is not there exactly once: a fault that is not planted would be
 * taken for one that is found.
 */
export function plantSource({ name, file, from, to }: SourcePlant): void {
  const target = new URL(file, ROOT).href;
  const found = readFileSync(fileURLToPath(target), 'utf8').split(from).length - 1;
  if (found !== 1) throw new Error(`"${name}" cannot be planted: ${file} holds what is to be replaced ${found} times.`);
  registerHooks({
    load(url, context, nextLoad) {
      if (url !== target) return nextLoad(url, context);
      const text = readFileSync(fileURLToPath(target), 'utf8').replace(from, () => to);
      return { format: 'module-typescript', source: text, shortCircuit: true };
    },
  });
}
