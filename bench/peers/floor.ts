import { cpu } from './scenarios/7-cpu.ts';
import { median } from './median.ts';

const FIGURES = { lruCacheUs: 'local', lruCacheAwaitedUs: 'local', ioredisGetUs: 'redis' } as const;

/** The floor of the whole run: the medians of what stood beside each library. Null where nothing was measured. */
export function floorOf(
  results: readonly Readonly<Record<string, unknown>>[],
): Readonly<Record<string, number | null>> {
  const floor: Record<string, number | null> = {};
  for (const [figure, tier] of Object.entries(FIGURES)) {
    const figures = results.flatMap((result) => {
      const measured = result[cpu.name] as Record<string, Record<string, number> | undefined> | undefined;
      return measured?.[tier]?.[figure] ?? [];
    });
    floor[figure] = figures.length === 0 ? null : median(figures);
  }
  return floor;
}
