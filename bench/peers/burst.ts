import type { PeerCache, Row } from './adapter.ts';
import { type BurstOptions, type BurstResult, rowOf } from './calls.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class RowUnreadable extends Error {
  override readonly name = 'RowUnreadable';
}

/** All callers of all keys at once; counts what reached the loader, and what came back to the callers. */
export async function burst(cache: PeerCache, options: BurstOptions): Promise<BurstResult> {
  const { keys, callersPerKey, loadMs, isFailing, capMs } = options;
  let loads = 0;
  let concurrentLoads = 0;
  let concurrentLoadsMax = 0;
  const thrown = new Set<unknown>();
  const loadOf = (key: string) => async (): Promise<Row> => {
    loads++;
    concurrentLoads++;
    concurrentLoadsMax = Math.max(concurrentLoadsMax, concurrentLoads);
    await sleep(loadMs);
    concurrentLoads--;
    if (!isFailing) return rowOf(key, 1);
    const error = new RowUnreadable(`${key} cannot be read`);
    thrown.add(error);
    throw error;
  };
  const count = { values: 0, empty: 0, rejections: 0, unchanged: 0 };
  const errorNames = new Set<string>();
  let lastAnswerAt = performance.now();
  const startedAt = performance.now();
  const callers = keys.flatMap((key) =>
    Array.from({ length: callersPerKey }, async () => {
      try {
        const row = await cache.get(key, loadOf(key));
        if (row === undefined) count.empty++;
        else count.values++;
      } catch (error) {
        count.rejections++;
        if (thrown.has(error)) count.unchanged++;
        errorNames.add(error instanceof Error ? error.name : typeof error);
      }
      lastAnswerAt = performance.now();
    }),
  );
  const answered = Promise.all(callers).then(() => true);
  let cap: NodeJS.Timeout | undefined;
  const capped = new Promise<false>((resolve) => (cap = setTimeout(() => resolve(false), capMs)));
  const isAnswered = await Promise.race([answered, capped]);
  clearTimeout(cap);
  const { values, empty, rejections } = count;
  return {
    loads,
    concurrentLoadsMax,
    ...count,
    errorNames: [...errorNames].toSorted(),
    pending: callers.length - values - empty - rejections,
    ms: isAnswered ? lastAnswerAt - startedAt : capMs,
  };
}
