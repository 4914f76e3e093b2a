/**
 * What every way of counting is measured by: so many callers at once, each with some increments of different keys, as of a page that was read; it waits
 * until every one of them is acknowledged, and then has the next.
 */
export interface LoadResult {
  readonly perSecond: number;
  readonly acknowledged: number;
  /** Milliseconds from the call to its acknowledgement, of some calls. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU microseconds of the process for each increment. */
  readonly cpuUs: number;
  readonly failed: number;
}

const SAMPLE_EVERY = 17;

export interface LoadOptions {
  readonly callers: number;
  /** Increments of one caller at a time. */
  readonly together: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly draws: Int32Array;
}

export async function runLoad(add: (id: number) => Promise<unknown>, options: LoadOptions): Promise<LoadResult> {
  const { callers, together, warmUpMs, measureMs, draws } = options;
  let isOver = false;
  let turns = 0;
  let acknowledged = 0;
  let failed = 0;
  let latencies: number[] = [];
  const call = async (): Promise<void> => {
    while (!isOver) {
      const turn = turns++;
      const beganMs = turn % SAMPLE_EVERY === 0 ? performance.now() : 0;
      const made = Array.from({ length: together }, (_, i) => add(draws[(turn * together + i) % draws.length] ?? 0));
      try {
        await Promise.all(made);
        acknowledged += together;
      } catch {
        failed += together;
      }
      if (beganMs > 0) latencies.push(performance.now() - beganMs);
    }
  };
  const running = Array.from({ length: callers }, call);
  await new Promise((resolve) => setTimeout(resolve, warmUpMs));
  const before = { acknowledged, cpu: process.cpuUsage(), ms: performance.now() };
  latencies = [];
  await new Promise((resolve) => setTimeout(resolve, measureMs));
  const seconds = (performance.now() - before.ms) / 1000;
  const cpu = process.cpuUsage(before.cpu);
  const measured = acknowledged - before.acknowledged;
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  const result = { p50Ms: at(0.5), p99Ms: at(0.99), cpuUs: (cpu.user + cpu.system) / Math.max(1, measured) };
  isOver = true;
  await Promise.all(running);
  return { ...result, perSecond: measured / seconds, acknowledged, failed };
}
